"""An evacuation as text: for a person at three in the morning, without colour, in any width."""

from __future__ import annotations

from typing import Any

from vaultd import alerts
from vaultd.cli.format import duration, local, number, parse_rfc3339, rate, size, table
from vaultd.i18n import N_, _, language

CATEGORIES = {
    "unspecified": N_("not specified"), "fire": N_("fire"), "flood": N_("flood"), "theft": N_("theft"),
    "power-cut": N_("power cut"), "leak-or-loss": N_("leak or loss"), "other": N_("other"),
}  # fmt: skip

STATES = {"ordered": N_("it goes on"), "copied": N_("all that was pending is safe"), "ended": N_("it has ended")}
TIER_STATES = {"planned": N_("on its way"), "safe": N_("SAFE"), "short": N_("NOT SAFE, ended before")}

Document = dict[str, Any]


def category(name: str) -> str:
    """What has happened, in the reader's words."""
    return _(CATEGORIES.get(name, name))


def local_time(text: str) -> str:
    """A time of the document by this host's clock."""
    return local(parse_rfc3339(text))


def page(found: Document) -> str:
    """The whole document."""
    parts = [head(found), tiers(found), targets(found), disks(found), people(found), steps(found)]
    if found["alerts"]:
        parts.append("\n".join(_alert(one) for one in found["alerts"]))
    return "\n\n".join(part for part in parts if part)


def head(found: Document) -> str:
    """What it is, and for how long it has gone on."""
    one = found["evacuation"]
    drill = _("DRILL") + " " if one["drill"] else ""
    text = _("{drill}EVACUATION {id}: level {level}, {category}. Ordered {time}, {seconds} ago; {state}.").format(
        drill=drill, id=one["id"], level=one["level"], category=category(one["category"]),
        time=local_time(one["ordered"]), seconds=duration(one["seconds"]), state=_(STATES[one["state"]]),
    )  # fmt: skip
    said = [
        (_("reported by {name}"), one["report"]), (_("on duty: {name}"), one["on_duty"]),
        (_("directed by {name}"), one["director"]), (_("warning {name}"), one["warning"]),
        (_("playbook {name}"), one["playbook"]), (_("note: {name}"), one["note"]),
    ]  # fmt: skip
    known = [form.format(name=_plain(value)) for form, value in said if value]
    return "\n".join([text, *(["  " + "; ".join(known)] if known else [])])


def tiers(found: Document) -> str:
    """What is safe where, the most important first."""
    rows = []
    for one in found["tiers"]:
        left = _("{files} files, {size}").format(files=number(one["left_files"]), size=size(one["left_bytes"]))
        rows.append((
            str(one["tier"]), one["target"], ", ".join(one["vaults"]), _(TIER_STATES[one["state"]]),
            f"{100 * one['share']:.0f} %", size(one["safe_bytes"]), left if one["left_files"] else "-",
            duration(one["seconds_left"]) if one["seconds_left"] else "-",
        ))  # fmt: skip
    if not rows:
        return ""
    heads = (_("tier"), _("target"), _("vaults"), _("state"), _("safe"), _("sent"), _("still to go"), _("time left"))
    return table(heads, rows, right=(0, 4, 5, 7))


def targets(found: Document) -> str:
    """How the lines do, and what is wrong with them."""
    lines = []
    for one in found["targets"]:
        count = one["batches"]
        known = rate(one["bytes_a_second"]) if one["bytes_a_second"] else _("rate not known yet")
        text = _("{target}: {rate}, {safe} batches safe, {broken} lost on the way and sent again").format(
            target=one["target"], rate=known, safe=number(count["safe"]), broken=number(count["broken"])
        )
        lines.append(text)
        lines += [f"  {_alert(alert)}" for alert in one["alerts"]]
    return "\n".join(lines)


def disks(found: Document) -> str:
    """Which disks are still to be pulled, the first ones by name, and who has signed for those that left."""
    if not found.get("disks"):
        return ""
    gone = [one for one in found["disks"] if one["signed_off"]]
    text = _("Disks: {count} to pull, {gone} signed off: vaultd disks pull-list")
    lines = [text.format(count=number(len(found["disks"]) - len(gone)), gone=number(len(gone)))]
    for one in [one for one in found["disks"] if not one["signed_off"]][:4]:
        left = (
            _("NOT YET OFF-SITE: {files} files, {size}").format(
                files=number(one["pending_files"]), size=size(one["pending_bytes"]))
            if one["pending_files"] else _("all on it is safe off-site")
        )  # fmt: skip
        bay = _("bay {bay}").format(bay=one["bay"] or "?")
        lines.append(_plain(f"  #{one['number']}  {bay}  {one['label'] or one['disk']}: {left}"))
    for one in gone[-4:]:
        text = _("{label}: {by} to {to}, {time}")
        lines.append("  [x] " + _plain(text.format(
            label=one["label"] or one["disk"], by=one["signed_off"]["by"], to=one["signed_off"]["to"],
            time=local_time(one["signed_off"]["time"]),
        )))  # fmt: skip
    return "\n".join(lines)


def people(found: Document) -> str:
    """Who was told, and who has answered."""
    told = sorted({one["person"] or one["channel"] for one in found.get("told") or () if one["state"] == "sent"})
    failed = sorted({one["person"] or one["channel"] for one in found.get("told") or () if one["state"] == "failed"})
    answered = [one["person"] for one in found.get("answers") or () if one["state"] == "acknowledged"]
    waiting = [one["person"] for one in found.get("answers") or () if one["state"] != "acknowledged"]
    rows = [
        (_("Told: {names}"), told), (_("NOT TOLD: {names}"), failed), (_("Answered: {names}"), answered),
        (_("Not answered: {names}"), waiting),
    ]  # fmt: skip
    return "\n".join(_plain(form.format(names=", ".join(names))) for form, names in rows if names)


def steps(found: Document) -> str:
    """The playbook with its ticks."""
    lines = []
    chinese = language().startswith("zh")
    for one in found.get("steps") or ():
        mark = {"open": "[ ]", "skipped": "[-]"}.get(one["state"], "[x]")
        text = one["text"]["zh" if chinese else "en"]
        more = f" ({one['person']}, {local_time(one['time'])})" if one["person"] else ""
        late = " " + _("LATE") if one["late"] else ""
        lines.append(_plain(f"{mark} {one['step']}: {text}{more}{late}"))
    return "\n".join(lines)


def _alert(one: Document) -> str:
    what = (one["code"], one["vault"], one["target"], one["detail"])
    return _plain(f"! {alerts.text(*what)}")


def _plain(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)
