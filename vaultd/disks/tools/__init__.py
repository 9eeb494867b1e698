"""What the system's storage programs print, made into values: one program a file, no I/O, hostile input expected.

Each parser takes text that may be cut off, empty, of an older or a newer version, or something else altogether, and
gives what it could make out; nothing of that raises.
"""
