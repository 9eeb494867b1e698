"""From a change to an acknowledged snapshot (docs/architecture.md, "the life of a change").

``refs`` what a vault and a target are here; ``root`` whether a vault's folder may be backed up at all; ``changeset``
what a
run is to protect; ``cost`` full or express; ``batches`` the first protection in pieces; ``binding`` whether a hash is
that of
what was stored; ``snapshot`` one run, end to end; ``worker`` one target's loop; ``recover`` what a dead daemon left.
"""
