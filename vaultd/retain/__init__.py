"""What is taken out of the repositories on purpose, and what stays.

``select`` chooses by a policy, without I/O; ``place`` is a vault at a target as somebody reaches it who may remove
there; ``forget`` removes snapshots by id, checks the rest, clears their data away; ``destroy`` takes single paths out
of all snapshots, and ``certificate`` says so on paper.
"""
