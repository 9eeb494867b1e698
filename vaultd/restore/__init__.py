"""Bringing a vault back: ``plan`` chooses the snapshots, ``run`` carries it out, ``compare`` looks at what came back.

The repository alone is the truth here: no state folder, no daemon, not even a configuration of the vault is needed.
"""
