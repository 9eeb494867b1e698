"""The status document as text for people."""

from __future__ import annotations

import time
from typing import Any

from vaultd import alerts
from vaultd.cli import progress
from vaultd.cli.format import ago, duration, files, local, number, parse_rfc3339, size, table
from vaultd.i18n import N_, _, ngettext
from vaultd.names import display

STATES = {
    "protected": N_("protected"), "in-motion": N_("in motion"), "pending": N_("on its way"),
    "unread": N_("files unread"), "first-protection": N_("first protection"), "behind": N_("behind"),
    "error": N_("error"), "unreachable": N_("unreachable"), "blocked": N_("blocked"),
}  # fmt: skip

CLASSIFICATIONS = {
    "top-secret": N_("top secret"), "secret": N_("secret"), "confidential": N_("confidential"),
    "internal": N_("internal"),
}  # fmt: skip

SEVERITIES = {"critical": N_("critical"), "warning": N_("warning"), "notice": N_("notice")}


def render(found: dict[str, Any]) -> str:
    """The whole document."""
    now = time.time_ns()
    parts = [_head(found)]
    if found.get("warnings"):  # a daemon of before has none
        parts.append(_warnings(found["warnings"]))
    parts += [_vault(vault, now) for vault in found["vaults"]]
    if not found["vaults"]:
        parts.append(_("No vault is configured."))
    read_back = [target for target in found["targets"] if target.get("verification")]  # a daemon of before has none
    if read_back:
        parts.append("\n".join(_verification(target, now) for target in read_back))
    retries = [target for target in found["targets"] if target["next_retry"]]
    if retries:
        parts.append("\n".join(_retry(target, now) for target in retries))
    if found.get("ledger"):  # a daemon of before has none
        parts.append(_ledger(found["ledger"], now))
    if found.get("kit"):
        parts.append(_kit(found["kit"], now))
    if found.get("media"):
        parts.append(_media(found["media"]))
    if found.get("evacuation"):
        parts.append(_evacuation(found["evacuation"]))
    if found.get("approvals"):
        parts.append(_approvals(found["approvals"], now))
    if found["progress"]:
        parts.append("\n".join(progress.line(run) for run in progress.of_json(found["progress"])))
    if found["alerts"]:
        parts.append("\n".join([_("Alerts"), *(alert(one, now) for one in found["alerts"])]))
    return "\n\n".join(parts)


def _evacuation(found: dict[str, Any]) -> str:
    """The one that goes on; else how long one would take if it were ordered now, at the quickest target."""
    going = found["going_on"]
    if going is not None:
        drill = _("DRILL") + " " if going["drill"] else ""
        text = _("{drill}EVACUATION {id} goes on since {time}, level {level}: vaultd evacuate watch")
        time_ = local(parse_rfc3339(going["ordered"]))
        return text.format(drill=drill, id=going["id"], time=time_, level=going["level"])
    known = [
        (one["tiers"][-1]["seconds"], one["tiers"][0]["seconds"], one["target"])
        for one in found["if_ordered_now"] if one["tiers"] and one["tiers"][-1]["seconds"] is not None
    ]  # fmt: skip
    if not known:
        return _("If an evacuation were ordered now: how long it would take is not known yet, no line was measured.")
    everything, first, target = min(known)
    if not everything:
        return _("If an evacuation were ordered now: nothing is pending that is not safe at {target}.").format(
            target=target
        )
    text = _("If an evacuation were ordered now: tier 1 is safe in about {first}, everything in {all} ({target}).")
    return text.format(first=duration(first), all=duration(everything), target=target)


def _media(found: dict[str, Any]) -> str:
    """The register in a line: how many media, and what is open."""
    count = found["media"]
    texts = [ngettext("Media: {count} registered", "Media: {count} registered", count).format(count=number(count))]
    for name, text in (
        ("out", _("{count} checked out")), ("overdue", _("{count} overdue")),
        ("unsigned", _("{count} signatures owed")), ("trouble", _("{count} missing or in the wrong place")),
    ):  # fmt: skip
        if found[name]:
            texts.append(text.format(count=number(found[name])))
    return ", ".join(texts)


def _approvals(found: dict[str, Any], now: int) -> str:
    """What waits for approval, what is owed, who is not accepted yet; or that nobody is named who approves."""
    if not found["enforced"]:
        return _("Approvals: nobody is named who approves (a [[person]] with the role director): root decides alone")
    texts = list[str]()
    if found["open"]:
        count = found["open"]
        texts.append(ngettext("{count} waits", "{count} wait", count).format(count=number(count)))
    if found["late"]:
        since = ago(parse_rfc3339(found["late_since"]), now)
        texts.append(_("{count} OWED for what was done, the oldest of {moment}").format(
            count=number(found["late"]), moment=since))  # fmt: skip
    if found["waiting"]:
        texts.append(_("{count} persons not accepted yet").format(count=number(found["waiting"])))
    return _("Approvals: {facts}").format(facts=", ".join(texts) or _("none waits"))


def _warnings(found: dict[str, Any]) -> str:
    """What stands, the most severe first: it is read at 3 a.m."""
    from vaultd.warning import words

    lines = []
    for one in found["standing"]:
        text = _("WARNING {id}, level {level}: {category}, since {moment}")
        line = text.format(id=one["id"], level=words.level(one["level"]), category=words.category(one["category"]),
                           moment=local(parse_rfc3339(one["since"])))  # fmt: skip
        line = _("DRILL: {title}").format(title=line) if one["drill"] else line
        if one["unanswered"]:
            line += "\n  " + _("not answered: {names}").format(names=", ".join(one["unanswered"]))
        lines.append(line)
    count = found["proposed"]
    if count:
        text = ngettext(
            "{count} proposal waits: vaultd warning list", "{count} proposals wait: vaultd warning list", count
        )
        lines.append(text.format(count=number(count)))
    return "\n".join(lines)


LEDGER_STATES = {
    "ok": N_("in order"), "missing": N_("missing"), "failing": N_("cannot be written to"),
    "stopped": N_("signs nothing more"),
}  # fmt: skip

ANCHORS = {
    "mirror": N_("mirror at {name}"), "anchor": N_("anchor at {name}"), "witness": N_("witness {name}"),
    "timestamp": N_("time stamp of {name}"), "paper": N_("paper"),
}  # fmt: skip


def _ledger(found: dict[str, Any], now: int) -> str:
    state = _(LEDGER_STATES.get(found["state"], found["state"]))
    facts = [_("{entries} entries signed").format(entries=number(found["size"]))]
    if found["signed"]:
        facts.append(ago(parse_rfc3339(found["signed"]), now))
    if found["unrecorded"]:
        facts.append(_("{entries} to be recorded").format(entries=number(found["unrecorded"])))
    lines = [_("Ledger: {state}, {facts}").format(state=state, facts=", ".join(facts))]
    for one in found["anchors"]:
        what = _(ANCHORS.get(one["kind"], one["kind"])).format(name=one["name"])
        when = ago(parse_rfc3339(one["at"]), now) if one["at"] else _("none")
        lines.append(f"  {what}: {when}")
    return "\n".join(lines)


def _kit(found: dict[str, Any], now: int) -> str:
    """The recovery kit: which, of when, until when; or that there is something to mend."""
    if found["state"] == "none":
        return _("Recovery kit: none. What burns with this machine and its papers is lost: vaultd kit create")
    facts = [
        _("made {moment}").format(moment=ago(parse_rfc3339(found["created"]), now)),
        _("{threshold} of {shares} shares open it").format(threshold=found["threshold"], shares=found["shares"]),
    ]
    if found["state"] == "expired":
        facts.append(_("EXPIRED on {day}: vaultd kit create").format(day=found["expires"]))
    elif found["expires"]:
        facts.append(_("good until {day}").format(day=found["expires"]))
    else:
        facts.append(_("does not expire"))
    if found["lacking"]:
        text = _("does NOT open the targets {targets}: vaultd kit create")
        facts.append(text.format(targets=", ".join(found["lacking"])))
    return _("Recovery kit {id}: {facts}").format(id=found["id"], facts=", ".join(facts))


def _head(found: dict[str, Any]) -> str:
    state = _(STATES.get(found["state"], found["state"]))
    if found["daemon"]["running"]:
        return _("{host}: {state}").format(host=found["host"], state=state)
    return _("{host}: {state} as of {moment}; the daemon is not running, later changes are not seen").format(
        host=found["host"], state=state, moment=local(parse_rfc3339(found["as_of"]))
    )


def _vault(vault: dict[str, Any], now: int) -> str:
    secret = vault["classification"]
    facts = [
        display(vault["path"]), _(CLASSIFICATIONS.get(secret, secret)),
        _("priority {priority}").format(priority=vault["priority"]), files(vault["files"]), size(vault["bytes"]),
        _("objective {duration}").format(duration=duration(vault["objective"])),
    ]  # fmt: skip
    complete = vault["complete_as_of"]
    facts.append(
        _("complete as of {moment}").format(moment=ago(parse_rfc3339(complete), now)) if complete
        else _("not yet scanned")
    )  # fmt: skip
    head = (
        _("target"), _("state"), _("pending"), _("bytes"), _("lag"), _("last full"), _("last express"),
    )  # fmt: skip
    rows = [_row(target, now) for target in vault["targets"]]
    notes = [note for target in vault["targets"] for note in _notes(target)]
    body = table(head, rows, right=(2, 3, 4))
    return "\n".join(
        ["{}  {}".format(vault["name"], ", ".join(fact for fact in facts if fact)), *_indent(body), *notes]
    )


def _row(target: dict[str, Any], now: int) -> tuple[str, ...]:
    return (
        target["target"], _(STATES.get(target["state"], target["state"])), number(target["pending_files"]),
        size(target["pending_bytes"]), duration(target["lag"]) if target["lag"] else "-",
        _snapshot(target["last_full"], now), _snapshot(target["last_express"], now),
    )  # fmt: skip


def _notes(target: dict[str, Any]) -> list[str]:
    notes = []
    if target["unread"]:
        text = _("  {target}: {files} could not be read")
        notes.append(text.format(target=target["target"], files=files(target["unread"])))
    if target["in_motion"]:
        text = _("  {target}: {files} in motion, an older moment of them is there")
        notes.append(text.format(target=target["target"], files=files(target["in_motion"])))
    return notes


def _retry(target: dict[str, Any], now: int) -> str:
    left = max(0, parse_rfc3339(target["next_retry"]) - now) / 1e9
    return _("Target {name}: next attempt in {duration}").format(name=target["name"], duration=duration(left))


def _verification(target: dict[str, Any], now: int) -> str:
    found = target["verification"]
    text = _("Target {name}: of the files as they are now {share:.0%} read back within {period}, last {last}")
    last = ago(parse_rfc3339(found["last"]), now) if found["last"] else _("never")
    text = text.format(name=target["name"], share=found["share"], period=duration(found["period"]), last=last)
    if found["oldest"]:
        text += ", " + _("the oldest {moment}").format(moment=ago(parse_rfc3339(found["oldest"]), now))
    count = found["differences"]
    if count:
        text += ", " + ngettext("{count} difference", "{count} differences", count).format(count=number(count))
    return text + "\n  " + _all_stored(found.get("stored"), now)


def _all_stored(found: dict[str, Any] | None, now: int) -> str:
    """How much of all that is stored there, older snapshots and all."""
    if not found:  # a daemon of before says nothing of it
        return _("of all that is stored there, older snapshots too: nothing yet")
    text = _("of all that is stored there, older snapshots too: {share:.0%} of {size}").format(
        share=found["share"], size=size(found["bytes"])
    )
    if found["oldest"]:
        text += ", " + _("the oldest {moment}").format(moment=ago(parse_rfc3339(found["oldest"]), now))
    if found["damaged"]:
        count = found["damaged"]
        text += ", " + ngettext("{count} pack damaged", "{count} packs damaged", count).format(count=number(count))
    return text


def _snapshot(found: dict[str, Any] | None, now: int) -> str:
    return ago(parse_rfc3339(found["time"]), now) if found else _("none")


def _indent(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]


def alert(found: dict[str, Any], now: int) -> str:
    """An alert: number, severity, age, text in the reader's language, and what to do."""
    what = (found["code"], found["vault"], found["target"], found["detail"])
    severity = _(SEVERITIES.get(found["severity"], found["severity"]))
    lines = [
        f"  {found['id']}  {severity}, {ago(parse_rfc3339(found['raised']), now)}: {alerts.text(*what)}",
    ]
    hint = alerts.hint(*what)
    if hint and not found["cleared"]:
        lines.append("     " + _("hint: {hint}").format(hint=hint))
    if found["cleared"]:
        lines.append("     " + _("over since {moment}").format(moment=local(parse_rfc3339(found["cleared"]))))
    if found["acknowledged"]:
        text = _("acknowledged by {who}, {moment}")
        moment = local(parse_rfc3339(found["acknowledged"]))
        lines.append("     " + text.format(who=found["acknowledged_by"], moment=moment))
    return "\n".join(lines)
