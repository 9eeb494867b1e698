"""The pages of a report: whatever is on record is shown as text; the same ledger gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests import reporting
from tests.reporting import DAY, HOSTILE, HOUR, START, checked, describe, story
from vaultd import i18n
from vaultd.report import fonts, page, pdf
from vaultd.report.audit import audit
from vaultd.report.page import MissingPartError
from vaultd.report.period import Period

TAGS = {
    "html", "head", "meta", "title", "style", "body", "p", "h1", "h2", "h3", "table", "thead", "tbody", "tr", "th",
    "td", "b", "br", "span", "div", "figure", "figcaption", "svg", "path", "rect", "circle", "text",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "xmlns", "viewbox", "role", "d", "x", "y", "width",
    "height", "cx", "cy", "r", "text-anchor",
}  # fmt: skip
SHOWN = "<script>alert(1)</script>\\xe2\\x80\\xae\\x1b[31m&amp;\"'{{ 191*343 }}"


class Parsed(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text = set[str](), set[str](), ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _value in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile(folder: Path) -> dict[str, Any]:
    """The figures of a ledger in which every text is hostile."""
    with story(folder, host=HOSTILE) as told:
        told.say("daemon", state="started", software=HOSTILE, pid=1, boot="b")
        describe(told, HOSTILE, 60, [HOSTILE], folder=HOSTILE, classification=HOSTILE, custodian=HOSTILE)
        told.change(HOSTILE, HOSTILE, [DAY], first=True)
        for at in (1, 3):
            told.at(START + at * HOUR)
            told.change(HOSTILE, HOSTILE, [HOUR], exceptions={"<script>": 2}, motion=HOSTILE)
        told.say("run", vault=HOSTILE, target=HOSTILE, kind="full", change_set="x", state=HOSTILE, error=HOSTILE)
        told.say("alert", code=HOSTILE, state="raised", vault=HOSTILE, target=HOSTILE)
        told.say("alert", code=HOSTILE, state="acknowledged", vault=HOSTILE, target=HOSTILE, who=HOSTILE)
        told.say("restore", vault=HOSTILE, target=HOSTILE, snapshots=[], to=HOSTILE, who=HOSTILE, state=HOSTILE,
                 files=1, size=1)  # fmt: skip
        told.say("drill", vault=HOSTILE, target=HOSTILE, snapshots=[], state=HOSTILE, seconds=5, files=1, size=1,
                 recovery_point_s=3, who=HOSTILE, kit=HOSTILE)  # fmt: skip
        told.say("verification", vault=HOSTILE, target=HOSTILE, kind=HOSTILE, state="done", snapshots=[], files=1,
                 size=1, counts={"<script>": 1}, differences=1, who=HOSTILE, paths=[HOSTILE])  # fmt: skip
        for kind in ("host-key-refused", "repair", "kit-created", "configuration", "key", "document", HOSTILE):
            told.say(kind, **{"<script>": HOSTILE, "reason": HOSTILE, "sources": [HOSTILE], "who": HOSTILE})
    (folder / "anchors" / "witness" / "<script>").mkdir(parents=True)
    (folder / "anchors" / "witness" / "<script>" / "1").write_bytes(b"<script>")
    return audit(
        checked(folder, problem=HOSTILE), Period(START, START + DAY), names=True, progress=lambda *_told: None
    )  # fmt: skip


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three months of a hospital, with few changes."""
    folder = tmp_path_factory.mktemp("months") / "ledger"
    reporting.months(folder, pace=25)
    return folder


@pytest.fixture
def chinese() -> Iterator[None]:
    i18n.choose("zh_CN")
    yield
    i18n.choose("en")


def test_whatever_is_on_record_is_shown_as_text(tmp_path: Path) -> None:
    text = page.render(hostile(tmp_path / "ledger"), UTC, "en")
    parsed = Parsed(text)
    assert parsed.tags <= TAGS
    assert parsed.attributes <= ATTRIBUTES
    assert parsed.text.count(SHOWN) > 60
    assert "65513" not in parsed.text  # 191 * 343: no template of theirs is carried out
    assert all(one.isprintable() or one == "\n" for one in text)
    assert "http" not in re.sub(r'xmlns="http://www.w3.org/2000/svg"|http-equiv', "", text)
    made, _lacking = pdf.make(text, "2026-06-02T00:00:00.000Z")
    assert made.startswith(b"%PDF") and b"/JavaScript" not in made


def test_a_template_marks_nothing_as_safe() -> None:
    sources = (Path(page.__file__).parent / "templates").rglob("*")
    texts = [one.read_text("utf-8") for one in sources if one.is_file()]
    assert len(texts) > 8
    assert not [text for text in texts if re.search(r"\|\s*safe|autoescape|Markup", text)]


@pytest.mark.parametrize(("language", "suffixes"), [("en", ["html"]), ("zh_CN", ["html", "pdf"])])
def test_two_processes_with_other_zones_and_hash_seeds_write_the_same_bytes(
    months: Path, tmp_path: Path, language: str, suffixes: list[str]
) -> None:
    found = set()
    for number, (zone, seed) in enumerate((("UTC", "0"), ("Asia/Shanghai", "4711"))):
        files = [tmp_path / f"{number}.{suffix}" for suffix in suffixes]
        named = [word for suffix, file in zip(suffixes, files, strict=True) for word in (f"--{suffix}", str(file))]
        done = subprocess.run(
            [sys.executable, "-m", "vaultd", "report", "audit", "--since", "2026-06-10", "--ledger", str(months),
             "--lang", language, *named, "--json", "--names"],
            env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed}, capture_output=True, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        figures = json.loads(done.stdout)
        assert figures.pop("files") == [str(file) for file in files]
        found.add((*(file.read_bytes() for file in files), json.dumps(figures)))
    assert len(found) == 1, [[hashlib.sha256(part if isinstance(part, bytes) else part.encode()).hexdigest()
                              for part in one] for one in found]  # fmt: skip
    ((text, *_others),) = found
    assert isinstance(text, bytes) and f'<html lang="{language.replace("_", "-")}">'.encode() in text


def test_pages_have_numbers_and_table_headings_again_and_chinese_is_text(
    months: Path, tmp_path: Path, chinese: None
) -> None:
    found = audit(checked(months), Period(START, START + 92 * DAY), names=False, progress=lambda *_told: None)
    rows = [{"type": "restore", "time": "2026-06-02T00:00:00.000Z", "vault": f"库{at}", "files": 1, "size": 1,
             "who": "张伟"} for at in range(120)]  # fmt: skip
    found = {**found, "restores": {"count": 120, "rows": rows}}
    made, lacking = pdf.make(page.render(found, UTC, "zh_CN"), found["period"]["record_ends"])
    assert lacking == ""
    (tmp_path / "a.pdf").write_bytes(made)
    done = subprocess.run(["pdftotext", "-layout", "a.pdf", "-"], cwd=tmp_path, capture_output=True, check=True)
    pages = done.stdout.decode().split("\f")[:-1]
    assert len(pages) > 5
    for number, text in enumerate(pages, 1):
        assert re.search(rf"\b{number} ?/ ?{len(pages)}\b", text), text
        assert "ward-3" in text
    assert "张伟" in done.stdout.decode() and "库119" in done.stdout.decode()
    with_rows = [text for text in pages if re.search(r"库\d", text)]
    assert len(with_rows) >= 3
    heading = i18n._("When")
    assert all(heading in text for text in with_rows)
    info = subprocess.run(["pdfinfo", "-isodates", "a.pdf"], cwd=tmp_path, capture_output=True, check=True).stdout
    assert b"CreationDate:    2026-0" in info and b"595.276 x 841.89 pts (A4)" in info


def test_of_a_ledger_that_does_not_hold_every_page_says_so(tmp_path: Path) -> None:
    found = hostile(tmp_path / "ledger")
    (tmp_path / "a.pdf").write_bytes(pdf.make(page.render(found, UTC, "en"), found["period"]["record_ends"])[0])
    done = subprocess.run(["pdftotext", "a.pdf", "-"], cwd=tmp_path, capture_output=True, check=True)
    pages = done.stdout.decode().split("\f")[:-1]
    assert len(pages) > 2
    assert all("NOT VERIFIED" in text for text in pages)


def test_without_chinese_fonts_there_is_no_pdf_and_it_is_said_how_to_mend_it(tmp_path: Path) -> None:
    """In a process of its own: fontconfig reads its configuration once."""
    (tmp_path / "fonts.conf").write_text(
        "<?xml version='1.0'?><!DOCTYPE fontconfig SYSTEM 'fonts.dtd'><fontconfig>"
        f"<dir>/usr/share/fonts/truetype/dejavu</dir><cachedir>{tmp_path}/cache</cachedir></fontconfig>"
    )
    done = subprocess.run(
        [sys.executable, "-m", "vaultd", "report", "audit", "--since", "2026-06-10", "--ledger", str(tmp_path),
         "--lang", "zh_CN", "--pdf", str(tmp_path / "a.pdf"), "--json"],
        env={**os.environ, "FONTCONFIG_FILE": str(tmp_path / "fonts.conf")}, capture_output=True, timeout=120,
    )  # fmt: skip
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (1, "missing-part")
    assert "审" in error["why"] and "fonts-wqy-microhei" in error["hint"]


def test_characters_without_a_glyph_are_named() -> None:
    assert fonts.check("abc 审计\n") == ""
    assert fonts.check("a\U00013000b") == "\U00013000"


@pytest.mark.parametrize("package", ["jinja2", "weasyprint"])
def test_without_the_packages_of_the_extra_it_is_said_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPartError, match=package) as caught:
        page.check()
        pdf.check("en")
    assert "vaultd[report]" in caught.value.hint


def test_a_pdf_loads_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>secret</text></svg>')
    plain = "<html><body><p>text</p></body></html>"
    with_image = f"<html><body><p>text</p><img src='{secret.as_uri()}'></body></html>"
    made = [pdf.make(text, "2026-06-02T00:00:00Z")[0] for text in (plain, with_image)]
    for number, content in enumerate(made):
        (tmp_path / f"{number}.pdf").write_bytes(content)
    words = [
        subprocess.run(["pdftotext", f"{number}.pdf", "-"], cwd=tmp_path, capture_output=True, check=True).stdout
        for number in range(2)
    ]
    assert words[0] == words[1]
