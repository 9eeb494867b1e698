"""Practised restores: into a scratch folder, compared with the record, measured, and removed again.

``scratch``   where: in memory when it fits, and gone afterwards whatever happens
``restoring`` the drill itself
``trend``     what the ledger has of earlier ones
"""
