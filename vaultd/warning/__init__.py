"""Warnings of level I, II and III: proposed, issued, adjusted, lifted; who was told, and who has answered.

``words``     levels, states, categories and signals, for people
``faults``    what is refused
``people``    persons and groups behind names; the duty roster, and who comes after whom
``fields``    what may be in the fields of a warning, and how the ledger has them
``desk``      every change of a warning: store, ledger's entry, whom to tell, what to set in motion, in one transaction
``answers``   the recipients of a warning, and who of them has answered
``answering`` who has acknowledged, who was rung; who is told again, and to whom it goes next
``telling``   the text of a notice, and handing it over
``signals``   alerts as signals in one table; proposals that are damped and counted
``power``     whether there is mains power: NUT's upsc, and the kernel's power supplies
``response``  what a warning sets in motion at once
``playbook``  checklists (config/playbooks), and ticking their steps off
``view``      a warning as ``--json`` has it

docs/warnings.md is for the people who use it.
"""
