"""Label numbers: how new ones are made, and what a scanned one is.

A scheme such as ``SH1-{year}-{number:5}`` gives SH1-2026-00001, SH1-2026-00002, ... Register books have labels of
older schemes too: any text of one line without blanks is a label, written in one way only (NFKC, capitals), so that a
scanner, a keyboard and a spreadsheet mean the same one.
"""

from __future__ import annotations

import re
import unicodedata

from vaultd.config.labels import LONGEST_LABEL, PART
from vaultd.i18n import _
from vaultd.media.faults import MediaError

_FORBIDDEN = frozenset("\"'`,;<>{}\\")


def normal(text: str) -> str:
    """A label as the register has it. Raises MediaError for what can be none."""
    found = _one_way(text).strip()
    wrong = not found or len(found) > LONGEST_LABEL or not found.isprintable() or found[0] in "-=+@"
    if wrong or any(one.isspace() or one in _FORBIDDEN for one in found):
        shown = found if found.isprintable() else repr(found)
        raise MediaError(
            _("label {label}").format(label=shown[:80]),
            _("this is not a label number"),
            _("1 to {count} characters on one line, without blanks, quotes, commas; a letter or digit first").format(
                count=LONGEST_LABEL
            ),
        )
    return found


def _one_way(text: str) -> str:
    return unicodedata.normalize("NFKC", text).upper()


def next_label(scheme: str, year: int, highest: str | None, after: int = 0) -> str:
    """The next label of a scheme. ``highest``: the highest of this year's that is there (``prefix``); ``after``: so
    many more were given since."""
    head = prefix(scheme, year)
    number = int(highest[len(head) :]) if highest is not None and highest[len(head) :].isdecimal() else 0
    digits = width(scheme)
    found = f"{head}{number + 1 + after:0{digits}}"
    if len(found) > len(head) + digits:
        raise MediaError(
            _("the labels of {year}").format(year=year), _("all numbers of {count} digits are given").format(
                count=digits),
            _("widen the number in [media] label"),
        )  # fmt: skip
    return found


def prefix(scheme: str, year: int) -> str:
    """What is before the number in a year's labels."""
    return _one_way(PART.sub(lambda part: f"{year:04}" if part[1] == "year" else "", scheme))


def width(scheme: str) -> int:
    """How many digits the number has."""
    match = next(one for one in PART.finditer(scheme) if one[1] == "number")
    return int(match[2] or 5)


def is_ours(scheme: str, label: str) -> bool:
    """Whether a label is one of this site's scheme: in the register or not, it was made here."""
    pattern, at = "", 0
    for match in PART.finditer(scheme):
        pattern += re.escape(_one_way(scheme[at : match.start()]))
        pattern += r"\d{4}" if match[1] == "year" else rf"\d{{{int(match[2] or 5)}}}"
        at = match.end()
    return re.fullmatch(pattern, label, re.ASCII) is not None
