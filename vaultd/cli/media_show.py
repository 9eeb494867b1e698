"""``vaultd media show``: a medium and its history."""

from __future__ import annotations

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli
from vaultd.cli.format import local
from vaultd.cli.render_status import CLASSIFICATIONS
from vaultd.errors import EXIT_DONE
from vaultd.i18n import _
from vaultd.media import numbering
from vaultd.media.faults import NoMediumError
from vaultd.media.machine import STATUS_WORDS
from vaultd.media.words import capacity_text
from vaultd.store.mediarows import Medium


def show(cli: Cli, label: str) -> int:
    """A medium by its label. Raises NoMediumError."""
    wanted = numbering.normal(label)
    with common.reading(cli) as store:
        found = None if store is None else store.medium(wanted)
        if store is None or found is None or found.id is None:
            raise NoMediumError(
                _("medium {label}").format(label=wanted), _("it is in no register here"),
                _("a label of another site? See: vaultd media scan {label}").format(label=wanted),
            )  # fmt: skip
        events = [(event, store.signatures(event.number)) for event in store.events_of_medium(found.id)]
        listed = store.open_destruction_of(found.id)
    cli.emit({
        "version": 1, "medium": common.medium_json(found), "destruction": listed,
        "events": [common.event_json(event, signatures) for event, signatures in events],
    })  # fmt: skip
    for name, value in _facts(found):
        if value:
            cli.say(f"{name}: {value}")
    if listed is not None:
        cli.say(_("on the list {number} for destruction").format(number=listed))
    cli.say()
    for event, signatures in events:
        for line in common.event_lines(event, signatures):
            cli.say(line)
    return EXIT_DONE


def _facts(medium: Medium) -> list[tuple[str, str]]:
    out = local(medium.due)[:10] if medium.due else ""
    seen = f"{local(medium.seen)}, {medium.seen_where}" if medium.seen else ""
    return [
        (_("label"), medium.label), (_("copy"), medium.copy),
        (_("classification"), _(CLASSIFICATIONS[medium.classification])), (_("secrecy period"), medium.period),
        (_("declassification"), medium.condition), (_("type"), medium.type), (_("make"), medium.make),
        (_("model"), medium.model), (_("serial"), medium.serial), (_("WWN"), medium.wwn),
        (_("capacity"), capacity_text(medium.capacity)), (_("encryption"), medium.encryption),
        (_("custodian"), medium.custodian), (_("deputy"), medium.deputy), (_("status"), _(STATUS_WORDS[medium.status])),
        (_("who has it"), medium.holder), (_("place"), medium.location), (_("on its way to"), medium.bound_for),
        (_("machine"), medium.host), (_("slot"), medium.slot), (_("vaults"), ", ".join(medium.vault_names)),
        (_("seal"), medium.seal), (_("checked out to"), medium.borrower), (_("to be back by"), out),
        (_("last seen"), seen), (_("audit"), medium.trouble), (_("note"), medium.note),
    ]  # fmt: skip
