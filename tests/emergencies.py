"""Ledgers of evacuations and drills, written entry by entry by the real writer: what a fire at night leaves on record.

``fire`` has everything that a report can show; ``drills`` is some months of practice. The same call gives the
same bytes. ``python -m tests.emergencies DIR`` writes both below DIR, for a look at the pages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.ledgermaking import SIGNER
from tests.reporting import DAY, HOUR, SECOND, START, Story, describe, story
from vaultd.ledger.entry import time_text
from vaultd.ledger.log import Log

FIRE = START + 3 * DAY + 19 * HOUR  # 3 in the morning in Shanghai
WEI, LI, ROOT = "uid 0 (says zhangwei)", "uid 1004 (says lina)", "vaultd"
KEY = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
GIB, MIB = 2**30, 2**20


@contextmanager
def reopened(folder: Path) -> Iterator[Log]:
    """The log of a ledger, to be gone on with; signed at the end."""
    with closing(Log(folder, SIGNER)) as opened:
        yield opened
        opened.seal()


class Fire:
    """Writes the entries of one evacuation, ``at`` so many seconds after its order."""

    def __init__(self, told: Story, name: str, order: int, *, drill: bool = False) -> None:
        self.told, self.name, self.order = told, name, order
        self.drill = 1 if drill else None
        self.number = 0

    def say(self, at: float, kind: str, /, **fields: object) -> None:
        """An entry at this moment."""
        self.told.at(self.order + round(at * SECOND))
        self.told.say(kind, **fields)

    def moment(self, at: float) -> str:
        return time_text(self.order + round(at * SECOND))

    def step(self, at: float, state: str, **fields: object) -> None:
        values: dict[str, object] = {
            "level": "I", "category": "unspecified", "who": LI, "boot": "b1", "time": self.moment(at), **fields,
        }  # fmt: skip
        self.say(at, "evacuation", evacuation=self.name, state=state, drill=self.drill, **values)

    def tier(self, at: float, tier: int, target: str, state: str, files: int, size: int, **fields: object) -> None:
        vaults = {1: ["patients"], 2: ["research"], 3: ["finance", "letters"]}.get(tier, [])
        values: dict[str, object] = {"vaults": vaults, "objective_ms": {1: 120_000, 2: 480_000}.get(tier), **fields}
        if state == "safe":
            values.setdefault("milliseconds", round(at * 1000))
        self.say(at, "evacuation-tier", evacuation=self.name, tier=tier, target=target, state=state, files=files,
                 size=size, time=self.moment(at), drill=self.drill, **values)  # fmt: skip

    def batch(
        self, at: float, tier: int, target: str, size: int, files: int = 40, *, error: str = "", again: bool = False,
        vault: str = "",
    ) -> None:  # fmt: skip
        """A batch; with its snapshot where it is safe. ``again``: on record twice."""
        self.number += 1
        vault = vault or {1: "patients", 2: "research", 3: "finance"}[tier]
        run = f"{self.name}-{self.number:04}"
        fields = {"evacuation": self.name, "tier": tier, "vault": vault, "target": target, "change_set": run,
                  "state": "broken" if error else "safe", "files": files, "size": size, "milliseconds": 19_000,
                  "error": error or None, "drill": self.drill}  # fmt: skip
        self.told.at(self.order + round(at * SECOND))
        if not error and self.drill is None:
            now = self.told.clock.now
            self.told.say("snapshot", vault=vault, target=target, kind="express", change_set=run, snapshot="ab" * 32,
                          time_ns=str(now), files=files, size=size, versions=0, exceptions={}, repository="cd" * 32,
                          since_ns=str(now - round(at + 41) * SECOND))  # fmt: skip
        for _time in range(2 if again else 1):
            self.told.say("evacuation-batch", **fields)

    def tick(self, at: float, step: str, state: str, **fields: object) -> None:
        values = {"person": "李娜", "time": self.moment(at), "time_source": "host-clock-synchronised", "who": LI}
        values.update(fields)  # type: ignore[arg-type]
        self.say(at, "playbook-step", of=self.name, playbook="fire", step=step, state=state, drill=self.drill, **values)

    def disk(self, at: float, label: str, state: str, by: str, to: str, event: str, **fields: object) -> None:
        """A disk that left or arrived, with the event of the register (``signers`` and ``signed`` roles)."""
        signers = fields.pop("signers", [f"released-by: {by}", f"received-by: {to}"])
        signed = fields.pop("signed", signers)
        action = fields.pop("action", "remove" if state == "signed-off" else "deposit")
        place = fields.pop("place", "档案馆 B2")
        values = {"time": self.moment(at), "time_source": "host-clock-synchronised", **fields}
        self.say(at, "media-custody", event=event, action=action, labels=[label], records=["ab" * 32], released_by=by,
                 received_by=to, time=values["time"], time_source=values["time_source"], host="ward-3", who=LI,
                 signers=signers, place_to=place)  # fmt: skip
        for signer in signed:  # type: ignore[attr-defined]
            role, _colon, person = signer.partition(": ")
            paper = values["time_source"] == "stated"
            self.told.say("media-signature", event=event, role=role, person=person, who=LI,
                          signature=None if paper else "c2ln", key=None if paper else KEY,
                          sheet="S-0042" if paper else None)  # fmt: skip
        self.told.say("evacuation-disk", evacuation=self.name, label=label, state=state, by=by, to=to, event=event,
                      who=LI, drill=self.drill, **values)  # fmt: skip


def _begun(told: Story) -> None:
    told.say("daemon", state="started", software="vaultd 0.1.0", pid=4711, boot="b1")
    for number, (vault, objective) in enumerate((("patients", 300), ("research", 3600), ("finance", 14400)), 1):
        describe(told, vault, objective, ["bunker", "annex"], priority=number)


def fire(folder: Path, *, until: str = "later") -> str:
    """A fire at night, with everything that can happen in it; gives its id. ``until``: "going on" stops in tier 2."""
    with story(folder) as told:
        _begun(told)
        told.at(START + DAY)
        _drill(told, 1, START + DAY, slow=1.0)
        told.say("improvement", item="IMP-2026-001", evacuation="DRILL-2026-001", state="open", who=WEI,
                 text="应急箱钥匙应放在值班室", owner="王芳", due="2026-06-02")  # fmt: skip
        told.say("improvement", item="IMP-2026-002", evacuation="DRILL-2026-001", state="open", who=WEI,
                 text="A second ladder for rack 4", owner="张伟", due="2026-12-01")  # fmt: skip
        one = Fire(told, "E-2026-001", FIRE)
        _order(one)
        _copying(one)
        if until == "going on":
            return one.name
        _rest(one)
        _later(one)
    return "E-2026-001"


def _order(one: Fire) -> None:
    warning: dict[str, Any] = {
        "warning": "W-2026-001", "level": "I", "category": "fire", "start": one.moment(-130), "scope": "三号楼机房",
        "cautions": "Smoke in the corridor", "measures": "Everybody leaves by the east stairs", "unit": "信息科",
        "recipients": ["张伟", "李娜", "王芳", "陈静"], "on_duty": "李娜",
    }  # fmt: skip
    one.say(-140, "alert", code="target-unreachable", state="raised", target="annex")
    one.say(-130, "warning", revision=1, state="proposed", who=ROOT, signal="smoke", count=3, **warning)
    one.say(-60, "warning", revision=2, state="issued", who=LI, **warning)
    one.say(-31, "warning-answer", warning="W-2026-001", revision=2, state="acknowledged", person="李娜", who=LI,
            how="command")  # fmt: skip
    one.step(0, "ordered", report="保安 刘强", on_duty="李娜", warning="W-2026-001", playbook="fire", request="R-7",
             targets=["bunker", "annex"])  # fmt: skip
    one.say(0.3, "approval-request", request="R-7", state="open", action="evacuate-start", parameters="ab" * 32,
            nonce="n", requester="李娜", expires=one.moment(86400), roles=["director"], late=1, who=LI)  # fmt: skip
    for tier, files, size in ((1, 240, 900 * MIB), (2, 90, 1400 * MIB), (3, 800, 700 * MIB)):
        for target in ("bunker", "annex"):
            one.tier(0.5, tier, target, "planned", files, size)
    for step, text, role, limit in (
        ("alarm", "拉响火警，拨打 119", "operator", 60), ("people", "Everybody is outside", "director", 300),
        ("disks", "Pull the disks of the list", "custodian", 600), ("power", "切断机房电源", "operator", 900),
        ("stolen", "Write down what is missing", "custodian", None),
    ):  # fmt: skip
        one.tick(0.6, step, "open", text=text, role=role, limit_ms=None if limit is None else limit * 1000,
                 person="", who=ROOT)  # fmt: skip
    for at, channel, person, state, error in (
        (3, "wecom", "张伟", "sent", None), (4, "wecom", "王芳", "sent", None),
        (9, "mail", "陈静", "failed", "550 no such mailbox"),
    ):  # fmt: skip
        one.say(at, "notice", notice=f"N-{at}", of="W-2026-001", kind="warning", state=state, channel=channel,
                attempts=1 if state == "sent" else 5, person=person, error=error)  # fmt: skip


def _copying(one: Fire) -> None:
    one.tick(22, "alarm", "done", note="119 答复 8 分钟到")
    one.batch(21, 1, "bunker", 210 * MIB, 60)
    one.say(35, "warning-answer", warning="W-2026-001", revision=2, state="acknowledged", person="张伟", who=WEI,
            how="telephone")  # fmt: skip
    one.batch(42, 1, "bunker", 220 * MIB, 60, again=True)
    one.step(48, "judged", category="fire", director="张伟", who=WEI)
    one.batch(63, 1, "bunker", 230 * MIB, 60)
    one.say(66, "alert", code="target-unreachable", state="cleared", target="annex")
    one.batch(74, 1, "bunker", 90 * MIB, 20, error="the line broke")
    one.say(75, "alert", code="target-unreachable", state="raised", target="bunker")
    one.say(80, "alert", code="target-unreachable", state="cleared", target="bunker")
    one.batch(88, 1, "annex", 300 * MIB, 80)
    one.batch(101, 1, "bunker", 240 * MIB, 60)
    one.tier(101.5, 1, "bunker", "safe", 240, 900 * MIB)
    one.say(120, "warning-answer", warning="W-2026-001", revision=2, state="repeated", person="王芳", who=ROOT)
    one.batch(128, 1, "annex", 300 * MIB, 80)
    one.batch(160, 1, "annex", 300 * MIB, 80)
    one.tier(160.5, 1, "annex", "safe", 240, 900 * MIB)
    one.batch(150, 2, "bunker", 500 * MIB, 30)
    one.say(181, "warning-answer", warning="W-2026-001", revision=2, state="acknowledged", person="王芳",
            who="uid 1008", how="in person")  # fmt: skip


def _rest(one: Fire) -> None:
    one.batch(195, 2, "bunker", 300 * MIB, 20, error="the line broke")
    one.say(230, "daemon", state="started", software="vaultd 0.1.0", pid=90, boot="b2")  # killed, then the host fell
    one.step(231, "taken up", who=ROOT, boot="b2", category="fire")
    one.say(240, "warning-answer", warning="W-2026-001", revision=2, state="escalated", person="陈静", who=ROOT)
    one.batch(262, 2, "bunker", 500 * MIB, 30)
    one.disk(270, "SH1-2026-00017", "signed-off", "李娜", "王芳", "MV-00001", seal="F-1001")
    one.tick(280, "people", "done", person="张伟")
    one.batch(301, 2, "bunker", 400 * MIB, 30)
    one.tier(301.5, 2, "bunker", "safe", 90, 1400 * MIB)
    one.tier(303, 1, "bunker", "exact", 240, 900 * MIB)
    one.batch(330, 2, "annex", 700 * MIB, 45)
    one.disk(340, "SH1-2026-00018", "signed-off", "李娜", "王芳", "MV-00002", seal="F-1002",
             signed=["released-by: 李娜"])  # fmt: skip
    one.say(350, "daemon", state="stopped", software="vaultd 0.1.0", pid=90, boot="b2")
    one.say(362, "daemon", state="started", software="vaultd 0.1.0", pid=91, boot="b2")
    one.say(371, "alert", code="target-full", state="raised", target="annex")
    one.batch(372, 2, "annex", 350 * MIB, 22, error="no space left at the target")
    one.batch(400, 3, "bunker", 700 * MIB, 800)
    one.tier(400.5, 3, "bunker", "safe", 800, 700 * MIB)
    one.step(401, "copied", who=ROOT, boot="b2", category="fire")
    one.disk(402, "SH1-2026-00019", "signed-off", "李娜", "王芳", "MV-00003", seal="F-1003", time=one.moment(300),
             time_source="stated")  # fmt: skip
    one.tick(700, "disks", "done", person="王芳", time_source="stated", time=one.moment(655))
    one.tier(760, 2, "annex", "short", 45, 700 * MIB)
    one.tier(760, 3, "annex", "short", 800, 700 * MIB)
    one.step(761, "ended", director="张伟", who=WEI, boot="b2", category="fire", note="火已扑灭")


def _later(one: Fire) -> None:
    one.disk(3 * 3600, "SH1-2026-00017", "received", "王芳", "陈静", "MV-00004", seal="F-1001")
    one.disk(3 * 3600 + 60, "SH1-2026-00018", "received", "王芳", "陈静", "MV-00005", seal="F-1002")
    one.say(86400, "improvement", item="IMP-2026-001", evacuation="DRILL-2026-001", state="done", who=WEI,
            text="应急箱钥匙应放在值班室", owner="王芳", due="2026-06-02")  # fmt: skip
    one.say(86500, "improvement", item="IMP-2026-003", evacuation=one.name, state="open", who=WEI,
            text="Annex needs twice the space", owner="张伟", due="2026-06-06")  # fmt: skip
    one.say(86600, "improvement", item="IMP-2026-004", evacuation=one.name, state="open", who=WEI,
            text="陈静的邮箱地址已经失效，更新名册", owner="王芳", due="2026-09-01")  # fmt: skip
    one.say(2 * 86400, "media-custody", event="MV-00009", action="return", labels=["SH1-2026-00017"],
            records=["ab" * 32], released_by="陈静", received_by="李娜", time=one.moment(2 * 86400),
            time_source="host-clock-synchronised", host="ward-3", who=LI, signers=[])  # fmt: skip
    one.say(5 * 86400, "daemon", state="stopped", software="vaultd 0.1.0", pid=91, boot="b2")


def _drill(told: Story, number: int, when: int, slow: float) -> None:
    one = Fire(told, f"DRILL-2026-{number:03}", when, drill=True)
    warning: dict[str, Any] = {
        "warning": f"W-2026-1{number:02}", "level": "II", "category": "fire", "start": one.moment(0), "scope": "drill",
        "cautions": "", "measures": "", "unit": "信息科", "recipients": ["张伟", "王芳"], "drill": 1,
    }  # fmt: skip
    one.say(-2, "warning", revision=1, state="issued", who=LI, **warning)
    one.step(0, "ordered", level="II", category="fire", warning=warning["warning"], on_duty="李娜", director="张伟")
    for tier in (1, 2):
        for target in ("bunker", "annex"):
            one.tier(0.5, tier, target, "planned", 20, 64 * MIB)
    for at, person in ((30, "张伟"), (75, "王芳")):
        one.say(at * slow, "warning-answer", warning=warning["warning"], revision=1, state="acknowledged",
                person=person, who=LI, how="command", drill=1)  # fmt: skip
    for tier, at in ((1, 80), (2, 160)):
        for number_, target in enumerate(("bunker", "annex")):
            one.batch(at * slow + 20 * number_, tier, target, 64 * MIB, 20)
            one.tier(at * slow + 20 * number_ + 0.4, tier, target, "safe", 20, 64 * MIB)
    one.say(200 * slow, "evacuation-measured", evacuation=one.name, what="restore", target="bunker",
            milliseconds=round(9000 * slow), files=20, size=64 * MIB, differences=int(slow > 1.4), drill=1)  # fmt: skip
    one.step(220 * slow, "copied", level="II", category="fire", who=ROOT)
    one.step(260 * slow, "ended", level="II", category="fire", who=WEI, director="张伟")


def drills(folder: Path, count: int = 8) -> None:
    """A drill every month, and practised restores between them."""
    with story(folder) as told:
        _begun(told)
        for number in range(1, count + 1):
            when = START + number * 30 * DAY
            _drill(told, number, when, slow=1.6 - 0.12 * number + 0.1 * (number % 3))
            told.at(when + DAY)
            told.say("drill", vault="patients", target="bunker", snapshots=["ab" * 32], state="done",
                     seconds=900 - 40 * number, files=4000, size=3 * GIB, recovery_point_s=20 + number, who=WEI,
                     differences=0)  # fmt: skip
        one = Fire(told, "E-2026-001", START + (count * 30 + 12) * DAY)
        one.step(0, "ordered", category="flood")
        one.tier(1, 1, "bunker", "planned", 5, 20 * MIB)
        one.batch(30, 1, "bunker", 20 * MIB, 5)
        one.tier(31, 1, "bunker", "safe", 5, 20 * MIB)
        one.step(60, "ended", category="flood", who=WEI, director="张伟")


def main(where: Path) -> None:
    """Write ledgers for a look at the pages."""
    fire(where / "fire")
    fire(where / "going-on", until="going on")
    drills(where / "drills")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
