"""A restored folder as a bag (BagIt 1.0) that outsiders can check: ``make`` does it, docs/ledger.md describes it.

``record`` reads what the ledger says of the files, ``payload`` what is there, ``arrange`` puts the files where the
formats can name them, ``tags`` writes the manifests. ``bench`` is the table that they share.
"""
