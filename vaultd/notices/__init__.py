"""Notices: what people are told, outside of this host's terminal.

``model`` says what a notice is. Whoever has something to tell hands over a ``Notice`` through ``Tell``; how it travels
is another process's business, which sees no vault.
"""
