"""Evacuations: everything that is not off-site yet goes there, the most important first, on one order; and what leaves
the building by hand.

``order``      the order itself: given, filled in, ended; kept in the store before anything is done
``journal``    what becomes of its batches and tiers, in the store and on record, in one transaction
``view``       how far it is, for ``evacuate watch``, ``status`` and ``--json``
``rehearsal``  a drill: a host of its own, with a payload and a repository of its own
``practice``   whether that was done as often as it is to be
``room``       what the duty room sees beside the copying
``company``    who directs, who is told, which steps, which approval is owed
``current``    which evacuation a disk that leaves belongs to
``device``     a block device before anything is written to it: refusals, file system, mount
``medium``     media that were prepared as targets: which, where, and as workers take them
``preparing``  a registered disk becomes a target on the spot
``finishing``  it is written out, looked at, and may be unplugged
``signoff``    disks and media leave and arrive: custody events, and the evacuation's entries; ``subject``: of what
``paper``      sign-offs that were written on the printed list, from a table
``package``    a BagIt bag to carry, ``export``: encrypted files of a repository, or plain ones of a vault
"""
