"""What changes in a vault: hints from the kernel, and the scan that finds the truth.

Hints: ``observer`` hears them from inotify (``reader`` its queue, ``tree`` which directory each kernel watch stands
for), ``hints`` coalesces them, ``canary`` proves that it still hears, ``poller`` asks for scans where hints cannot be
had, ``settle`` tells when a burst is over. Truth: ``scan`` one path and what is below, ``scanner`` a whole vault in
processes of its own, both by ``walk``. Into the catalog: ``follow`` for hints and ``differences`` for scans, both by
``record``, which looks (``look``) and asks whether the vault is all there (``guard``, ``mounts``).
"""
