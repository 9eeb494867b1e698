"""The register of media: disks, USB sticks, tapes, paper boxes; who has which one now, and who has signed for it.

``machine``      which moves there are, and from which status
``numbering``    labels: how new ones are made, what a scanned one is
``words``        classifications and states in both languages, as staff write them; capacities
``record``       a medium as the ledger knows it (a digest), and events with what people sign
``register``     adding and changing media: the register and the ledger's entry in one transaction
``people``       who has to sign, by which key or on which sheet; approvers by their roles
``sshsig``       signatures by ``ssh-keygen -Y``
``moves``        transfers, check-out and check-in
``safety``       whether what is on a disk is safe off-site before it is removed
``walk``         auditing a room: found, missing, foreign, in the wrong place; sightings by a scanner
``supplies``     seals, cases, spare disks with their check dates
``destruction``  request, approvals, execution; ``certifying`` makes the certificate, ``certificate`` draws it
``labels``       label sheets as PDF
``table``        the register as CSV, and what an import would change
``items``        what is open: signatures, overdue media, disks in no register; alerts for them

``vaultd.store.media`` has the rows. docs/media.md is for the people who use it.
"""
