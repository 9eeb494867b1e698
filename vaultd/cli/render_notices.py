"""How notices and calls look on the terminal and in JSON. Addresses are in neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vaultd.cli.format import ago, table
from vaultd.i18n import N_, _
from vaultd.units import parse_rfc3339, rfc3339

if TYPE_CHECKING:
    from vaultd.notices.calls import Call
    from vaultd.notices.form import Delivery, Kept
    from vaultd.notices.record import Standing
    from vaultd.store.notices import NoticeResult

_STATES = {"waiting": N_("waits"), "sent": N_("sent"), "failed": N_("given up")}
_WORDS = {
    "no-channel": N_("no channel is configured for it"),
    "no-process": N_("no process can be started"),
    "url-file-missing": N_("the file with its address is missing"),
    "url-file-open": N_("the file with its address must be the courier's or root's alone (mode 0600)"),
    "url-file-unreadable": N_("the courier may not read the file with its address"),
    "url-file-kind": N_("the file with its address is no regular file"),
    "url-file-large": N_("the file with its address is too large"),
    "url-file-text": N_("the file with its address is no text in UTF-8"),
    "url-file-lines": N_("the file with its address must hold one address, on one line"),
    "url-unknown": N_("the address is none that apprise knows"),
    "unreachable": N_("the server cannot be reached"),
    "timeout": N_("the server does not answer in time"),
    "tls": N_("the server's certificate is not trusted"),
    "refused": N_("the service has refused it"),
    "smtp-recipients": N_("the mail server refuses the recipient"),
    "unreadable": N_("what the courier has left cannot be read"),
    "died": N_("the try ended by itself"),
}


def word(error: str) -> str:
    """An error's word for people; codes of servers (http-500, smtp-535, errcode-93000) stay as they are."""
    return _(_WORDS[error]) if error in _WORDS else error


def delivery_json(one: Delivery) -> dict[str, Any]:
    """A notice at a channel."""
    return {
        "channel": one.channel, "persons": list(one.persons), "state": one.state, "attempts": one.attempts,
        "error": one.error or None, "at": rfc3339(one.at) if one.at else None,
    }  # fmt: skip


def notice_json(kept: Kept, state: str, now: Kept) -> dict[str, Any]:
    """A notice of the queue: as it was handed over, and as it stands."""
    notice = kept.notice
    return {
        "id": kept.id, "of": notice.of, "kind": notice.kind, "title": notice.title, "text": notice.text,
        "recipients": list(notice.recipients), "urgent": notice.urgent, "drill": notice.drill, "put": rfc3339(kept.put),
        "state": state, "deliveries": [delivery_json(one) for one in now.deliveries or ()],
    }  # fmt: skip


def result_json(row: NoticeResult) -> dict[str, Any]:
    """What is on record of a notice at a channel."""
    return {
        "id": row.notice, "about": row.about, "channel": row.channel, "person": row.person or None, "state": row.state,
        "attempts": row.attempts, "error": row.error or None, "recorded": rfc3339(row.recorded),
    }  # fmt: skip


def call_json(call: Call) -> dict[str, Any]:
    """Somebody to ring."""
    rung = call.rung
    return {
        "id": call.id, "person": call.person, "telephone": call.telephone or None, "of": call.of, "title": call.title,
        "drill": call.drill, "notice": call.notice, "since": rfc3339(call.since),
        "attempts": rung.attempts if rung else 0, "answered": bool(rung and rung.answered),
        "by": rung.by if rung else None, "last": rfc3339(rung.at) if rung else None,
    }  # fmt: skip


def queue(found: Sequence[dict[str, Any]], past: Sequence[dict[str, Any]], now: int, *, runs: bool) -> str:
    """The queue; with the newest results, where they are asked for."""
    lines = [] if runs else [_("The courier does not run: nothing is sent.")]
    for one in found:
        when = ago(parse_rfc3339(one["put"]), now)
        lines.append(f"{one['id']}  {one['of']}  {when}  {one['title']}")
        lines += [f"    {_line(d['channel'], d['persons'], d)}" for d in one["deliveries"]]
        if not one["deliveries"]:
            lines.append("    " + _("not taken yet"))
    for one in past:
        lines.append(
            f"{one['id']}  {one['about']}  {_line(one['channel'], [one['person']] * bool(one['person']), one)}"
        )
    if not found and not past:
        lines.append(_("No notice waits."))
    return "\n".join(lines)


def _line(channel: str, persons: Sequence[str], one: dict[str, Any]) -> str:
    whom = f" ({', '.join(persons)})" if persons else ""
    why = f": {word(one['error'])}" if one["error"] else ""
    state, attempts = _STATES[one["state"]], one["attempts"]
    return f"{channel}{whom}: {_(state)}, " + _("attempts: {count}").format(count=attempts) + why


def tested(standing: Standing) -> str:
    """What became of a test."""
    lines = [_line(one.channel, one.persons, delivery_json(one)) for one in standing.deliveries]
    if not standing.over:
        lines.append(_("It is not over yet: see vaultd notify list."))
    return "\n".join(lines)


def calls(found: Sequence[Call], now: int) -> str:
    """Whom to ring."""
    if not found:
        return _("Nobody is to be rung.")
    rows = [
        (call.id, call.person, call.telephone or _("no number"), f"{call.of} {call.title}", ago(call.since, now),
         str(call.rung.attempts if call.rung else 0))
        for call in found
    ]  # fmt: skip
    return table((_("call"), _("person"), _("number"), _("about"), _("since"), _("rung")), rows)
