"""The recovery kit: what paper and some custodians bring back when the building is gone.

``shares``    splits a wrapping key among custodians, and puts it together again
``spelling``  a share as a person types it: rows with check digits, so that a mistake is named
``content``   what a kit holds, as JSON; read with suspicion
``seal``      the kit's file: a readable head, and the content under the wrapping key
``codes``     QR codes of both, and reading them back from pictures
``words``     what a sheet says, in English and Chinese; ``sheet`` draws it (``vaultd.paper``)
``making``    a kit of this host: keys, files at the targets, sheets
``opening``   the state of a lost host on a new one, and a configuration that works
``passing``   private folders in memory, for as long as they are needed
``register``  which kits this host has made
``ending``    taking a kit's restic keys and files away
``migrate``   a new repository, when a kit has leaked

Formats: docs/kit.md. The wrapping key and what is under it are in memory and on paper, never in a file of this host.
"""
