"""The benchmark: what vaultd costs beside plain restic. ``make bench``, or ``python -m tests.bench --help``.

Not a test: nothing here is collected by pytest, and figures are never assertions. A row measures ours and plain
restic alternately, on the same data, through the same sshd and the same ssh configuration, into separate
repositories, each with a cache of its own; the median counts. Ours is the real daemon: times run from the bench's own
clock (last close, start of the daemon) until the acknowledgement can be read from the state database.
"""
