"""From a change to an acknowledged snapshot (docs/architecture.md, "the life of a change").

In the order of a change's way: ``intake`` hints become backlog; ``schedule`` what is due next, ``cost`` full or
express, ``batches`` the first protection in pieces; ``runs`` one run with
what goes around it, ``worker`` one target's loop, ``hurry`` an evacuation there, ``health`` how the target fares,
``failure`` what an error means; ``root`` whether a folder may be backed up at all; ``changeset`` what a run is to
protect; ``snapshot`` one run, end to end; ``binding`` whether a hash is that of what was stored, ``settle`` judging all
of them; ``alarm`` what a run raises. Beside it: ``dump`` and ``statecopy``; ``recover`` what a dead daemon left;
``refs`` what all of them are given.
"""
