"""Checkpoints where this host's root cannot change them: copies on targets, witnesses, time stamps, paper.

``mirror`` publishes to the targets and reads back; ``probe`` proves whether a target's copies are out of our reach (an
anchor, then); ``witness`` and ``timestamp`` ask others; ``qr`` is for paper; ``verify`` checks what is kept of all of
them, ``due`` says how old the newest ones are. Everything here blocks: the daemon calls it in threads.
"""
