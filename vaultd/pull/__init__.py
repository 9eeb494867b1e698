"""Which disks to pull out of which bay, in which order, and how each is let go.

``model``      a pull list: its disks in order, what is complete after which, what stands on each
``order``      from an inventory and what is not safe off-site to that order; no I/O
``stack``      what stands on a disk now: devices, mounts, swap; read upwards from sysfs and mountinfo
``users``      the processes that hold it, by name
``procedure``  the steps that let a disk go, for its stack
``words``      what a step does, how it is checked, what it means when that fails
``release``    carries the steps out, each checked, and stops at the first surprise
``kept``       the last list as a file, so that an emergency probes nothing
``making``     a new list, from the inventory, the configuration and the state
``bays``       bays that a person has looked at
``chassis``    where the bays are on the front of a machine
``locate``     the lamp of a bay
``gone``       disks that somebody has signed for when they left
``noticed``    registered media that are plugged in and could be targets
``sheet``      the page that is printed; ``sheet_cells``, ``sheet_texts`` what it says

Formats: docs/pull-list.md.
"""
