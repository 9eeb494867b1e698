"""The text of a notice about a warning, and handing it over.

A notice is kept in the store in the transaction that it tells of, and handed over afterwards, by the daemon or by the
command: it is lost neither to a crash nor because the daemon was dead.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from vaultd.config.model import Config
from vaultd.i18n import _
from vaultd.notices.model import Notice, Tell
from vaultd.store import Store
from vaultd.store.warningrows import WarningRow
from vaultd.units import local, number
from vaultd.warning import words

log = logging.getLogger(__name__)


def tell_of(config: Config, store: Store, row: WarningRow, what: str, persons: Iterable[str]) -> None:
    """Keep a notice of a warning for these persons, inside the caller's transaction; without anybody for everybody.
    ``what``: "proposed", "issued", "adjusted", "lifted", "repeated", "escalated"."""
    found = notice(config, row, what, tuple(dict.fromkeys(persons)))
    store.add_warning_notice(row.changed, json.dumps(asdict(found), ensure_ascii=False))


def hand_over(store: Store, tell: Tell) -> int:
    """Hand over what is kept; how many. Raises StateError where a notice cannot be kept by who takes it: it stays."""
    return store.hand_over_notices(lambda text: tell(read(text)))


def read(text: str) -> Notice:
    """A notice as it was kept."""
    values = json.loads(text)
    return Notice(**{**values, "recipients": tuple(values["recipients"])})


def notice(config: Config, row: WarningRow, what: str, recipients: tuple[str, ...]) -> Notice:
    """What people are told: all fields of the warning, who has duty, and how to answer."""
    titles = {
        "proposed": _("Proposal {id}: {category}"), "issued": _("Warning {id}, level {level}: {category}"),
        "adjusted": _("Warning {id} was adjusted: level {level}, {category}"),
        "lifted": _("Warning {id} was lifted: {category}"),
        "repeated": _("Not acknowledged yet: warning {id}, level {level}: {category}"),
        "escalated": _("Nobody has answered, it is yours now: warning {id}, level {level}: {category}"),
    }  # fmt: skip
    title = titles[what].format(id=row.id, level=row.level, category=words.category(row.category))
    policy = config.response.of(row.level)
    return Notice(
        row.id, "warning", _("DRILL: {title}").format(title=title) if row.drill else title,
        "\n".join(lines(row, what)), recipients, policy.urgent and what != "lifted", row.drill,
    )  # fmt: skip


def lines(row: WarningRow, what: str) -> Sequence[str]:
    """The body of a notice."""
    fields = (
        (_("Level: {text}"), words.level(row.level)), (_("Since: {text}"), local(row.start)),
        (_("What: {text}"), words.signal(row.signal) if row.signal else ""), (_("Scope: {text}"), row.scope),
        (_("Take care: {text}"), words.shown(row.cautions)), (_("Do: {text}"), words.shown(row.measures)),
        (_("Issued by: {text}"), row.unit), (_("On duty: {text}"), row.on_duty),
    )  # fmt: skip
    found = [text.format(text=value) for text, value in fields if value]
    if row.count > 1:
        found.append(_("It came {count} times.").format(count=number(row.count)))
    if what == "proposed":
        found.append(_("Issue it: vaultd warning issue --from {id}. It is nothing: vaultd warning decline {id}").format(
            id=row.id))  # fmt: skip
    elif what != "lifted":
        found.append(_("Acknowledge it: vaultd warning ack {id} --by NAME").format(id=row.id))
    return found
