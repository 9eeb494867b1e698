"""Notices: what people are told, outside of this host's terminal.

``model`` says what a notice is. Whoever has something to tell hands over a ``Notice`` through ``Tell``; ``telling``
makes one that knows the configuration, ``guard`` looks that no path of a vault is told, ``outbox`` keeps it until it
has arrived.

The rest is the courier's, another process that sees no vault: ``routing`` who is told by which channel, ``address``
the secret files of addresses, ``attempt`` one try in a process of its own, ``lanes`` whose turn it is, ``courier`` the
loop. ``form`` is the file that both sides read, ``folders`` who may do what in the outbox.
"""
