"""The disks and media of an evacuation: who signed them off, who received them, both signatures, and where they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vaultd.report.evacuation_source import Case, Emergencies, Seen
from vaultd.report.period import or_none

HOME = frozenset({"return", "install", "check-in", "destroy"})
"""After these a medium is owed to nobody."""

_LABELS = ("label", "to", "seal", "by", "time_source")


class Disks:
    """Each disk of one evacuation by its label, in the order in which they left."""

    def __init__(self, case: Case, found: Emergencies) -> None:
        self.case = case
        self.custody = {one.fields["event"]: one for one in found.around["media-custody"]}
        self.signed = dict[str, list[Seen]]()
        for one in found.around["media-signature"]:
            self.signed.setdefault(one.fields["event"], []).append(one)
        self.last = dict[str, Seen]()
        for one in found.around["media-custody"]:
            for label in one.fields["labels"]:
                self.last[label] = one
        self.states = dict[str, dict[str, Seen]]()
        for one in case.of("evacuation-disk"):
            self.states.setdefault(one.fields["label"], {}).setdefault(one.fields["state"], one)

    def figures(self) -> list[dict[str, Any]]:
        """What is told of each: both ends, who has signed for them and who is to, and where it is by the register."""
        return [
            {
                "label": label,
                "signed_off": self._end(states.get("signed-off")),
                "received": self._end(states.get("received")),
                "unplugged": or_none(states["unplugged"].moment) if "unplugged" in states else None,
                "now": self._now(label),
            }
            for label, states in self.states.items()
        ]  # fmt: skip

    def _end(self, seen: Seen | None) -> dict[str, Any] | None:
        if seen is None:
            return None
        one = seen.fields
        event = self.custody.get(one.get("event", ""))
        return {
            "time": or_none(seen.moment), "time_source": one["time_source"], "recorded": or_none(seen.when),
            "by": one["by"], "to": one.get("to"), "seal": one.get("seal"), "who": one["who"],
            "event": one.get("event"), "in_register": event is not None,
            "signatures": self._signatures(one.get("event", "")),
            "owed": [] if event is None else self._owed(event),
        }  # fmt: skip

    def _signatures(self, event: str) -> list[dict[str, Any]]:
        found = dict[tuple[str, str], dict[str, Any]]()
        for one in self.signed.get(event, ()):
            fields = one.fields
            found.setdefault((fields["role"], fields["person"]), {
                "role": fields["role"], "person": fields["person"], "time": or_none(one.when),
                "key": fields.get("key"), "sheet": fields.get("sheet"),
            })  # fmt: skip
        return list(found.values())

    def _owed(self, event: Seen) -> list[str]:
        """Who is to sign and has not, as "role: name"."""
        done = {f"{one['role']}: {one['person']}" for one in self._signatures(event.fields["event"])}
        return [signer for signer in event.fields["signers"] if signer not in done]

    def _now(self, label: str) -> dict[str, Any] | None:
        """Where it is, by the newest event of the register; None where that has none of it."""
        event = self.last.get(label)
        if event is None:
            return None
        return {
            "action": event.fields["action"], "holder": event.fields["received_by"],
            "place": event.fields.get("place_to"), "since": or_none(event.moment), "due": event.fields.get("due"),
            "home": event.fields["action"] in HOME,
        }  # fmt: skip

    def open_items(self) -> Iterator[dict[str, Any]]:
        """Receipts and signatures that are owed, and disks that are not back. A drill moves none."""
        for one in self.figures():
            sent, received = one["signed_off"], one["received"]
            if sent is not None and received is None:
                yield item("receipt", one["label"], sent["to"], sent["time"])
            if received is not None and sent is None:
                yield item("sign-off", one["label"], received["by"], received["time"])
            for end in (sent, received):
                for signer in () if end is None else end["owed"]:
                    yield item("signature", one["label"], signer, end["time"])
                if end is not None and not end["in_register"] and not self.case.drill:
                    yield item("register", one["label"], end["by"], end["time"])
            now = one["now"]
            if sent is not None and not self.case.drill and (now is None or not now["home"]):
                holder = sent["to"] if now is None else now["holder"]
                yield item("medium", one["label"], holder, sent["time"], None if now is None else now["due"])

    def events(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """For the list of what happened when."""
        for states in self.states.values():
            for state, one in states.items():
                details = {key: one.fields[key] for key in _LABELS if one.fields.get(key)}
                yield one.moment, one.seq, {"lane": "disk", "state": state, "who": one.fields["who"],
                                            "details": details}  # fmt: skip

    def complete(self) -> int:
        """How many left and arrived with every signature."""
        return sum(
            1 for one in self.figures()
            if one["signed_off"] and one["received"] and not one["signed_off"]["owed"] and not one["received"]["owed"]
            and (self.case.drill or (one["signed_off"]["in_register"] and one["received"]["in_register"]))
        )  # fmt: skip


def item(kind: str, what: str, who: str | None, since: str | None, due: str | None = None) -> dict[str, Any]:
    """An open item: of which kind, what it is about, who owes it, since when, and until when."""
    return {"kind": kind, "what": what, "who": who, "since": since, "due": due}
