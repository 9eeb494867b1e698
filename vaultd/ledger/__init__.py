"""The ledger: an append-only transparency log in the C2SP formats, which programs of other authors can check.

``tree`` (RFC 6962 hashes and proofs), ``tiles`` (tlog-tiles layout), ``note``, ``checkpoint`` and ``proof`` are the
formats. ``verify`` says whether a log holds; it shares the formats with the writer (``log``) and nothing else.
"""
