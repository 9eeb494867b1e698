"""The daemon's HTTP API on a Unix socket: who may ask what (peer), what is answered (schemas, routes), both ends.

``service`` is what the daemon implements; nothing is imported here, since the client must start in a blink.
"""
