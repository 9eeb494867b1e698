"""The pages of the report after an evacuation, and of the trend of drills: text is text, pictures can be read, the same
ledger gives the same bytes.

``python -m tests.test_report_evacuation_pages`` makes the kept page anew: look at it before you keep it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests import emergencies
from tests.emergencies import MIB, Fire
from tests.reporting import DAY, HOSTILE, SECOND, START, begun, checked, describe, story
from tests.test_report_pages import ATTRIBUTES, SHOWN, TAGS, Parsed
from vaultd import i18n
from vaultd.report import page, pdf
from vaultd.report.evacuation import evacuation
from vaultd.report.evacuation_trend import trend
from vaultd.report.period import Period
from vaultd.report.svg import text_width

GOLDEN = Path(__file__).parent / "report_golden" / "evacuation.html"
SHANGHAI = timezone(timedelta(hours=8))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.choose("en")
    yield
    i18n.choose("en")


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("emergencies")
    emergencies.main(where)
    return where


def figures(folder: Path, name: str = "E-2026-001", problem: str = "") -> dict[str, Any]:
    return evacuation(checked(folder, problem), name, Period(0, 0, SHANGHAI), progress=lambda *_told: None)


def compared(folder: Path) -> dict[str, Any]:
    return trend(checked(folder), Period(0, 2**63 - 1, SHANGHAI), progress=lambda *_told: None)


def golden(folder: Path) -> str:
    """The page of the fire, whatever version of vaultd makes it."""
    return page.render({**figures(folder), "software": "vaultd"}, SHANGHAI, "en", "evacuation")


def test_the_page_of_a_fire_is_the_one_that_was_looked_at(ledgers: Path) -> None:
    assert golden(ledgers / "fire") == GOLDEN.read_text("utf-8"), "look at it, then keep it: see the head of this file"


def boxes(picture: str) -> list[tuple[str, float, float, float, float]]:
    """Each text of a picture with where it is: left, right, top, bottom."""
    found = []
    for one in ElementTree.fromstring(picture).iter(f"{SVG}text"):
        text, x, y = one.text or "", float(one.get("x", "0")), float(one.get("y", "0"))
        size = 6.0 if "small" in one.get("class", "") else 7.5
        width = text_width(text, size) * 0.98  # coordinates are rounded
        left = {"start": x, "middle": x - width / 2, "end": x - width}[one.get("text-anchor", "start")]
        found.append((text, left, left + width, y - size * 0.72, y + size * 0.12))
    return found


def check_pictures(text: str) -> int:
    """That no text of a picture lies on another or outside; gives how many pictures there are."""
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    for picture in pictures:
        width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', picture)[0])
        found = boxes(picture)
        for number, (words, left, right, top, bottom) in enumerate(found):
            assert left >= -1 and right <= width + 1 and top >= -1 and bottom <= height, (words, left, right)
            for other, left_, right_, top_, bottom_ in found[:number]:
                apart = right <= left_ or right_ <= left or bottom <= top_ or bottom_ <= top
                assert apart, f"{words!r} lies on {other!r}"
    return len(pictures)


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_no_text_of_a_picture_lies_on_another(ledgers: Path, language: str) -> None:
    i18n.choose(language)
    for name, evacuated in (("fire", "E-2026-001"), ("going-on", "E-2026-001"), ("drills", "DRILL-2026-003")):
        found = figures(ledgers / name, evacuated)
        assert check_pictures(page.render(found, SHANGHAI, language, "evacuation")) == 1 + len(found["curves"])
    assert check_pictures(page.render(compared(ledgers / "drills"), SHANGHAI, language, "trend")) == 4


@pytest.mark.parametrize("seconds", [1, 50, 4_000, 90_000, 40 * 86_400])
def test_pictures_of_any_length_can_be_read(tmp_path: Path, seconds: int) -> None:
    """Steps that come close together, tiers that are safe at once, a hundred ticks and disks."""
    with story(tmp_path / "ledger") as told:
        begun(told)
        one = Fire(told, "E-2026-001", START + DAY)
        one.step(0, "ordered")
        for tier in range(1, 8):
            one.tier(0, tier, "bunker" * 6, "planned", 1, MIB, vaults=["v"], objective_ms=seconds * 100 * tier)
            one.batch(seconds * tier / 9, tier, "bunker" * 6, MIB, 1, vault="v")
            one.tier(seconds * tier / 9, tier, "bunker" * 6, "safe", 1, MIB, vaults=["v"])
            one.step(seconds * tier / 30, ("judged", "taken up", "interrupted")[tier % 3])
        for number in range(100):
            one.tick(seconds * number / 120, f"step {number}", "done")
        one.step(seconds, "copied")
        one.step(seconds, "ended")
    assert check_pictures(page.render(figures(tmp_path / "ledger"), UTC, "en", "evacuation")) == 2


def hostile(folder: Path) -> str:
    """An evacuation in which every text is hostile; gives its id."""
    long = "长" * 20_000 + HOSTILE
    with story(folder, host=HOSTILE) as told:
        told.say("daemon", state="started", software=HOSTILE, pid=1, boot=HOSTILE)
        describe(told, HOSTILE, 60, [HOSTILE])
        one = Fire(told, HOSTILE, START + DAY)
        text = dict.fromkeys(("report", "on_duty", "director", "warning", "playbook", "request", "note"), HOSTILE)
        one.step(0, "ordered", level=HOSTILE, category=HOSTILE, who=HOSTILE, targets=[HOSTILE], media=[HOSTILE], **text)
        one.step(1, HOSTILE, note=long)
        one.tier(1, 1, HOSTILE, "planned", 1, MIB, vaults=[HOSTILE])
        one.batch(3, 1, HOSTILE, MIB, 1, vault=HOSTILE)
        one.batch(4, 1, HOSTILE, MIB, 1, vault=HOSTILE, error=HOSTILE)
        one.tier(5, 1, HOSTILE, "safe", 1, MIB, vaults=[HOSTILE])
        one.tier(5, -3, long, "short", -1, 2**53 - 1, vaults=[HOSTILE], objective_ms=-5)
        one.tier(5, 2, "b", "safe", 1, 1, vaults=[HOSTILE], milliseconds=2**53 - 1, objective_ms=2**53 - 1)
        one.step(5, "judged", time="9999-12-31T23:59:59Z")
        one.say(5, "warning-answer", warning="W-404", revision=2**53 - 1, state="acknowledged", person="x", who="x")
        one.step(5, "judged", warning="W-404", time="0001-01-01T00:00:00Z")
        one.disk(6, HOSTILE, "signed-off", HOSTILE, HOSTILE, HOSTILE, seal=HOSTILE, action=HOSTILE, place=HOSTILE,
                 signers=[HOSTILE], signed=[], time_source=HOSTILE)  # fmt: skip
        one.disk(7, "second", "received", HOSTILE, HOSTILE, f"{HOSTILE}2", time="<b>")
        one.say(8, "warning", warning=HOSTILE, revision=1, state="issued", level=HOSTILE, category=HOSTILE,
                recipients=[HOSTILE, "second"], start=HOSTILE, scope=HOSTILE, cautions=HOSTILE, measures=HOSTILE,
                unit=HOSTILE, who=HOSTILE, signal=HOSTILE)  # fmt: skip
        one.say(9, "warning-answer", warning=HOSTILE, revision=1, state="acknowledged", person=HOSTILE, who=HOSTILE,
                how=HOSTILE)  # fmt: skip
        one.say(10, "notice", notice=HOSTILE, of=HOSTILE, kind=HOSTILE, state="failed", channel=HOSTILE, attempts=3,
                person=HOSTILE, error=HOSTILE, who=HOSTILE)  # fmt: skip
        one.say(11, "approval-request", request=HOSTILE, state="open", action=HOSTILE, parameters="ab", nonce=HOSTILE,
                requester=HOSTILE, expires=HOSTILE, roles=[HOSTILE, "x"], who=HOSTILE)  # fmt: skip
        one.say(11, "approval", request=HOSTILE, action=HOSTILE, person=HOSTILE, role=HOSTILE, signature=HOSTILE,
                key=HOSTILE, who=HOSTILE)  # fmt: skip
        one.tick(12, HOSTILE, "done", note=HOSTILE, text=HOSTILE, role=HOSTILE, items=[HOSTILE], limit_ms=-1)
        one.tick(12, "second", HOSTILE)
        one.say(13, "alert", code=HOSTILE, state="raised", vault=HOSTILE, target=HOSTILE)
        one.say(13, "alert", code="target-unreachable", state="raised", target=HOSTILE)
        one.say(14, "evacuation-measured", evacuation=HOSTILE, what=HOSTILE, target=HOSTILE, milliseconds=-1, files=1,
                size=1, differences=1)  # fmt: skip
        for item in (HOSTILE, "second"):
            one.say(15, "improvement", item=item, evacuation=HOSTILE, state="open", text=HOSTILE, owner=HOSTILE,
                    due=HOSTILE, who=HOSTILE)  # fmt: skip
        told.at(START + 2 * DAY)
        told.say("drill", vault=HOSTILE, target=HOSTILE, snapshots=[], state=HOSTILE, seconds=5, files=1, size=1,
                 recovery_point_s=3, who=HOSTILE, kit=HOSTILE)  # fmt: skip
    return HOSTILE


@pytest.mark.parametrize("kind", ["evacuation", "trend"])
def test_whatever_is_on_record_is_shown_as_text(tmp_path: Path, kind: str) -> None:
    name = hostile(tmp_path / "ledger")
    found = figures(tmp_path / "ledger", name, HOSTILE) if kind == "evacuation" else compared(tmp_path / "ledger")
    text = page.render(found, UTC, "en", kind)
    parsed = Parsed(text)
    assert parsed.tags <= TAGS
    assert parsed.attributes <= ATTRIBUTES
    assert parsed.text.count(SHOWN) > (60 if kind == "evacuation" else 10)
    assert "65513" not in parsed.text  # 191 * 343: no template of theirs is carried out
    assert all(one.isprintable() or one == "\n" for one in text)
    assert "http" not in re.sub(r'xmlns="http://www.w3.org/2000/svg"|http-equiv', "", text)
    if kind == "evacuation":
        assert "characters more)" in text and "长" * 400 not in text  # a row must fit on a page
        check_pictures(text)
    else:  # the other one takes fifteen seconds: so many long words without a space in narrow columns
        made, _lacking = pdf.make(text, "2026-06-02T00:00:00.000Z")
        assert made.startswith(b"%PDF") and b"/JavaScript" not in made


def pages(made: bytes, folder: Path) -> list[str]:
    (folder / "a.pdf").write_bytes(made)
    done = subprocess.run(["pdftotext", "-layout", "a.pdf", "-"], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode().split("\f")[:-1]


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_of_a_drill_every_page_says_so(ledgers: Path, tmp_path: Path, language: str) -> None:
    i18n.choose(language)
    found = figures(ledgers / "drills", "DRILL-2026-002", "torn")
    made, lacking = pdf.make(page.render(found, SHANGHAI, language, "evacuation"), found["period"]["record_ends"])
    texts = pages(made, tmp_path)
    assert lacking == "" and len(texts) > 2
    assert all(i18n._("DRILL") in text for text in texts)
    assert all(i18n._("NOT VERIFIED: the ledger does not hold").split(":")[0] in text for text in texts)
    text = page.render(figures(ledgers / "fire"), SHANGHAI, language, "evacuation")
    assert '<p class="drillmark">' not in text and '<body class="">' in text


@pytest.mark.parametrize(("language", "suffixes"), [("en", ["html"]), ("zh_CN", ["html", "pdf"])])
@pytest.mark.parametrize("report", [("evacuation", "E-2026-001", "fire"), ("drill", "--trend", "drills")])
def test_two_processes_with_other_zones_and_hash_seeds_write_the_same_bytes(
    ledgers: Path, tmp_path: Path, report: tuple[str, str, str], language: str, suffixes: list[str]
) -> None:
    command, which, folder = report
    suffixes = [*suffixes, "csv"] if which == "--trend" else suffixes
    found = set()
    for number, (zone, seed) in enumerate((("UTC", "0"), ("Asia/Shanghai", "4711"))):
        files = [tmp_path / f"{number}.{suffix}" for suffix in suffixes]
        named = [word for suffix, file in zip(suffixes, files, strict=True) for word in (f"--{suffix}", str(file))]
        done = subprocess.run(
            [sys.executable, "-m", "vaultd", "report", command, which, "--ledger", str(ledgers / folder), "--lang",
             language, *named, "--json"],
            env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed}, capture_output=True, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        json = done.stdout[: done.stdout.index(b'"files": ["')]
        found.add((json, *(file.read_bytes() for file in files)))
    assert len(found) == 1
    ((_json, text, *_others),) = found
    assert f'<html lang="{language.replace("_", "-")}">'.encode() in text


def test_moments_are_those_of_the_zone(ledgers: Path) -> None:
    text = page.render(figures(ledgers / "fire"), SHANGHAI, "en", "evacuation")
    assert "2026-06-05 03:00:00 (+08:00)" in text and "2026-06-04 19:" not in text
    assert SECOND == 10**9


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        emergencies.fire(Path(folder) / "ledger")
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(golden(Path(folder) / "ledger"), "utf-8")
