"""Reports that are derived from a ledger alone: the same ledger, period and language give the same bytes.

``source`` reads the entries of a ledger that holds, each once, and makes sure that they are those that were verified;
``period`` is the time that is reported on. ``audit`` hands each entry to the parts: ``recovery`` (achieved recovery
points, and gaps), ``uptime`` (when the daemon ran), ``standing`` (alerts), ``coverage`` (what was read back),
``deeds`` (who did what), ``anchors`` (what others have of the log). What comes out is one object of plain values,
that of ``--json``; the pages are made of it: ``page`` (Jinja2), ``plots`` and ``svg`` (pictures), ``pdf`` (WeasyPrint),
``fonts`` (whether each character can be shown), ``words`` (the names of what is on record, for people).

``evacuation`` is the report after an evacuation or a drill: ``evacuation_source`` keeps the entries that it needs,
``evacuation_tiers``, ``_disks``, ``_people``, ``_course`` and ``_improvements`` read them, ``evacuation_parts`` puts
them together, ``evacuation_indicators`` takes the numbers, ``evacuation_trend`` compares them (``evacuation_csv``: as a
table); ``evacuation_plots`` and ``trend_plots`` draw. ``improving`` notes and closes items for a command.
"""
