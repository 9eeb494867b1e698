"""A share as text for paper: six rows of 16 hexadecimal digits in groups of four, each with three check digits.

Row 1: format (1), number, threshold, total of the shares (a byte each), the kit (4 bytes). Rows 2 and 3: the first half
of the share, rows 4 and 5 the second, as ``ssss`` has them. Row 6: the first 8 bytes of SHA-256 of the rows before.

The check digits of a row are chosen so that the row's number and theirs, as one hexadecimal number, leave the row's
place (1 to 6) when divided by 4093. 4093 is prime, and no power of 16 within a row is 1 modulo it: every single wrong
digit, any two that are swapped, and rows in another order are noticed (tests/test_kit_spelling.py tries them all).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from vaultd.i18n import _
from vaultd.kit.faults import ShareError
from vaultd.kit.shares import KEY_BYTES, Share

ROWS = 6
PREFIX = "VAULTD-SHARE"
_FORMAT = 1
_DIGITS, _CHECK, _PRIME = 16, 3, 4093
_NOT_HEX = re.compile(r"[^0-9a-f]")
# What a tired eye or a poor pen makes of a digit. None of these letters is a hexadecimal digit.
_LOOKALIKES = str.maketrans({"o": "0", "i": "1", "l": "1", "|": "1", "s": "5"})


def rows(share: Share) -> list[str]:
    """The rows of a share: "0103 0305 4f1e 02aa 9c3"."""
    raw = bytes([_FORMAT, share.number, share.threshold, share.total]) + bytes.fromhex(share.kit) + share.value
    raw += hashlib.sha256(raw).digest()[:8]
    return [_shown(raw[at * 8 : at * 8 + 8].hex(), at + 1) for at in range(ROWS)]


def text(share: Share) -> str:
    """The whole share in one line, as its QR code has it: capital letters, for the code's compact alphabet."""
    return f"{PREFIX}:" + "".join(rows(share)).replace(" ", "").upper()


def _shown(digits: str, place: int) -> str:
    check = (place - int(digits, 16) * 16**_CHECK) % _PRIME
    groups = [digits[at : at + 4] for at in range(0, _DIGITS, 4)]
    return " ".join([*groups, f"{check:0{_CHECK}x}"])


def row(typed: str, place: int) -> str:
    """The 16 digits of a row as typed (blanks, dashes and capitals do not matter). Raises ShareError."""
    plain = re.sub(r"[\s\-.:]", "", typed.lower()).translate(_LOOKALIKES)
    strange = _NOT_HEX.search(plain)
    if strange is not None:
        raise _wrong(place, _("{found} is no digit: there are 0 to 9 and a to f").format(found=ascii(strange[0])))
    if len(plain) != _DIGITS + _CHECK:
        why = _("it has {count} digits instead of {wanted}").format(count=len(plain), wanted=_DIGITS + _CHECK)
        raise _wrong(place, why)
    if int(plain, 16) % _PRIME != place:
        raise _wrong(place, _likely(plain, place))
    return plain[:_DIGITS]


def _likely(plain: str, place: int) -> str:
    """What is wrong with a row: another row's place, or a digit that could be meant otherwise."""
    remainder = int(plain, 16) % _PRIME
    if 1 <= remainder <= ROWS:
        return _("this is row {other}").format(other=remainder)
    return _("a digit is wrong, or two are swapped")


def _wrong(place: int, why: str) -> ShareError:
    return ShareError(
        _("row {place} of the share").format(place=place), why,
        _("compare it with the sheet digit by digit, and type it again"),
    )  # fmt: skip


def share_of(typed: Sequence[str]) -> Share:
    """The share of its rows. Raises ShareError for the first row that is wrong."""
    raw = bytes.fromhex("".join(row(one, place) for place, one in enumerate(typed, 1)))
    head, check = raw[:-8], raw[-8:]
    if len(typed) != ROWS or hashlib.sha256(head).digest()[:8] != check:
        raise ShareError(
            _("the share"), _("its rows are each right, but do not belong together"),
            _("all rows must be of one sheet"),
        )  # fmt: skip
    if head[0] != _FORMAT or len(head) != 8 + KEY_BYTES or not 1 <= head[1] <= head[3] or head[2] < 2:
        raise ShareError(
            _("the share"), _("it has a format that this vaultd does not know"), _("use a newer vaultd")
        )  # fmt: skip
    return Share(head[4:8].hex(), head[1], head[2], head[3], head[8:])


def parse(found: str) -> Share:
    """A share from a file or a code: its rows, or the one line; lines that begin with # and the row's own number and
    dot ("3. ") do not count. Raises ShareError."""
    lines = [line.strip() for line in found.splitlines()]
    lines = [re.sub(r"^[1-6][.)]\s+", "", line) for line in lines if line and not line.startswith("#")]
    if len(lines) == 1:
        digits = re.sub(rf"^{PREFIX}:", "", lines[0], flags=re.IGNORECASE).replace(" ", "")
        width = _DIGITS + _CHECK
        if len(digits) != ROWS * width:
            raise ShareError(
                _("the share"), _("it has {count} digits instead of {wanted}").format(
                    count=len(digits), wanted=ROWS * width),
                _("a share has {rows} rows of {width} digits").format(rows=ROWS, width=width),
            )  # fmt: skip
        lines = [digits[at : at + width] for at in range(0, ROWS * width, width)]
    if len(lines) != ROWS:
        raise ShareError(
            _("the share"), _("it has {count} rows instead of {wanted}").format(count=len(lines), wanted=ROWS),
            _("a share has {rows} rows of {width} digits").format(rows=ROWS, width=_DIGITS + _CHECK),
        )  # fmt: skip
    return share_of(lines)
