"""The Chinese catalogue is complete: every text of the code is in it, translated, with the same placeholders."""

from __future__ import annotations

import io
import re
import string
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from vaultd import i18n

ROOT = Path(__file__).parent.parent
PO = ROOT / "vaultd" / "locale" / "zh_CN" / "LC_MESSAGES" / "vaultd.po"
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}

CHINESE = re.compile("[一-鿿]")
SAME = {"vaultd", "restic", "apt", "apt-get", "install", "openssh-client", "openssh-server", "TOML"}
SAME |= {"target", "trust", "control", "group", "forget", "repair", "fonts-wqy-microhei"}
"""Words that stay in a Chinese text without a Chinese character: commands and names."""


def placeholders(text: str) -> set[tuple[str, str, str]]:
    """The fields of a text for ``str.format``, with their format and conversion. Raises ValueError for a broken one."""
    found = set()
    for _literal, name, form, conversion in string.Formatter().parse(text):
        if name is not None:
            found.add((name, form or "", conversion or ""))
    return found


def only_names(text: str) -> bool:
    """Whether a text has nothing to translate: placeholders, options (``--at``), signs, and words of ``SAME``."""
    rest = re.sub(r"\{[^}]*\}|--[a-z-]+", " ", text)
    return SAME.issuperset(re.findall(r"[A-Za-z][A-Za-z-]*", rest))


def faults_of(message: Message) -> list[str]:
    """What is wrong with one message."""
    ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
    texts = (message.string,) if isinstance(message.string, str) else tuple(message.string)
    if message.fuzzy:
        return [f"fuzzy: {ids[0]!r}"]
    if not texts or not all(texts):
        return [f"not translated: {ids[0]!r}"]
    found = []
    for text in texts:
        # Chinese has one form for all numbers: it must have the placeholders of the English plural.
        if placeholders(text) != placeholders(ids[-1]):
            found.append(f"other placeholders: {ids[-1]!r} -> {text!r}")
        if not CHINESE.search(text) and not only_names(text):
            found.append(f"not Chinese: {ids[0]!r} -> {text!r}")
        if any(one.startswith(" ") != text.startswith(" ") for one in ids[-1:]):
            found.append(f"other indent: {ids[-1]!r} -> {text!r}")
        if ids[-1].count("\n\n") != text.count("\n\n"):
            found.append(f"other paragraphs: {ids[-1]!r} -> {text!r}")
    return found


@pytest.fixture(scope="module")
def extracted() -> Catalog:
    """All texts of the code as it is now."""
    catalog = Catalog()
    for file, line, message, _comments, context in extract_from_dir(
        ROOT / "vaultd", [("**.py", "python"), ("**/report/templates/**.html", "jinja2")], keywords=KEYWORDS
    ):
        if message:  # babel takes an empty literal for a message
            catalog.add(message, locations=[(file, line)], context=context)
    return catalog


@pytest.fixture(scope="module")
def translated() -> Catalog:
    with PO.open("rb") as stream:
        return read_po(stream, locale="zh_CN", abort_invalid=True)


def test_every_text_of_the_code_is_translated(extracted: Catalog, translated: Catalog) -> None:
    missing = []
    for message in extracted:
        if message.id and not (found := translated.get(message.id, message.context)):
            missing.append(f"{message.locations[0][0]}: {message.id!r}")
        elif message.id and isinstance(message.id, tuple) != isinstance(found.id, tuple):  # type: ignore[union-attr]
            missing.append(f"plural only on one side: {message.id!r}")
    assert missing == [], "run `make locale` and translate"


def test_every_translation_is_sound(translated: Catalog) -> None:
    assert [fault for message in translated if message.id for fault in faults_of(message)] == []


def test_no_translation_is_left_over(extracted: Catalog, translated: Catalog) -> None:
    left = [message.id for message in translated if message.id and extracted.get(message.id, message.context) is None]
    assert left == [], "run `make locale`"


def test_texts_are_for_format_and_not_made_of_parts(extracted: Catalog) -> None:
    for message in extracted:
        if message.id:
            for text in (message.id,) if isinstance(message.id, str) else message.id:
                assert not re.search(r"%[sd]|%\(", text), text
                assert all(name and not name.isdigit() for name, _form, _conversion in placeholders(text)), text


@pytest.mark.parametrize(
    ("source", "text", "fuzzy"),
    [("a {b}", "", False), ("a {b}", "甲 {c}", False), ("a {b}", "甲 {b}", True), ("a {b:.0f}", "甲 {b}", False),
     ("hint", "hint", False), ("  a", "甲", False), ("a\n\nb", "甲", False)],
)  # fmt: skip
def test_the_test_can_fail(source: str, text: str, fuzzy: bool) -> None:
    assert faults_of(Message(source, text, flags={"fuzzy"} if fuzzy else set()))


def test_compiled_catalogue_speaks(translated: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the .po that is here, whatever was compiled before."""
    folder = tmp_path / "zh_CN" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "vaultd.mo").open("wb") as stream:
        write_mo(stream, translated)
    monkeypatch.setattr(i18n, "LOCALE_DIR", tmp_path)
    try:
        for language in ("zh_CN", "zh_CN.UTF-8", "zh_CN:en", "zh"):
            i18n.choose(language)
            assert i18n._("top secret") == "绝密"
            assert i18n.ngettext("{count} file", "{count} files", 1).format(count=3) == "3 个文件"
        i18n.choose("en")
        assert i18n._("top secret") == "top secret"
        i18n.choose("xx_XX")
        assert i18n._("top secret") == "top secret"
    finally:
        i18n.choose("en")


def test_po_has_no_line_numbers() -> None:
    """They would change the catalogue with every edit of a module."""
    buffer = io.StringIO(PO.read_text("utf-8"))
    assert not [line for line in buffer if line.startswith("#: ") and re.search(r"\.py:\d", line)]
