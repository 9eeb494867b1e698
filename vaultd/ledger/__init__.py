"""The ledger: an append-only transparency log in the C2SP formats, which programs of other authors can check.

``tree`` (RFC 6962 hashes and proofs), ``tiles`` (tlog-tiles layout), ``note``, ``checkpoint`` and ``proof`` are the
formats.
"""
