"""Evacuation. What leaves the building by hand:

``device``     a block device before anything is written to it: refusals, file system, mount
``medium``     media that were prepared as targets: which, where, and as workers take them
``preparing``  a registered disk becomes a target on the spot
``finishing``  it is written out, looked at, and may be unplugged
``signoff``    disks and media leave and arrive: custody events, and the evacuation's entries
``paper``      sign-offs that were written on the printed list, from a table
``package``    a BagIt bag to carry: encrypted files of a repository, or plain ones of a vault
"""
