"""Physical disks: which are there, what lies on them, and which of them carry a copy of a folder.

``model``    what is known of a disk, the layers between a folder and its disks, and a map's two answers
"""
