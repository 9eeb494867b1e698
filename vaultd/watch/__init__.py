"""What changes in a vault: hints from the kernel, and the scan that finds the truth.

``observer`` hints from inotify (with ``tree``, which directory each kernel watch stands for); ``canary`` proof that
it still hears; ``settle`` when a burst of hints is over; ``scan`` the walk that compares a vault with the catalog;
``poller`` when to walk where hints cannot be had; ``mounts`` what is mounted inside a vault, and what lies on the
network.
"""
