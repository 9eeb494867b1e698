"""Evacuations: everything that is not off-site yet goes there, the most important first, on one order.

``order``  the order itself: given, filled in, ended; kept in the store before anything is done
``journal``  what becomes of its batches and tiers, in the store and on record, in one transaction
``view``  how far it is, for ``evacuate watch``, ``status`` and ``--json``
``estimate``  how long it would take if it were ordered now
"""
