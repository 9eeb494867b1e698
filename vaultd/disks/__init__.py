"""Physical disks: which are there, what lies on them, and which of them carry a copy of a folder.

What they are: ``machine`` (the root that is looked at) ``sysfs`` ``udevdb`` what the kernel and udev say,
``physical`` which devices are disks, ``identity`` one key each, ``bays`` where they sit, ``encryption``, ``behind``
those that a RAID controller hides, ``listing`` all of that. What lies on them: ``graph`` from a folder down, by
``filesystems`` ``mapped`` ``md`` ``bcache``; ``rules`` what each level needs, ``copies`` the smallest sets, ``places``
``mapping`` a folder's map.
Programs: ``running`` one that may hang, ``helper`` the fixed list, ``tools/`` what they print, ``telling`` what it
means, ``crosscheck``. ``inventory`` puts it together, ``form`` ``kept`` carry it; ``model`` are the values.
"""
