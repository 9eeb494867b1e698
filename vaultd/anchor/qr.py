"""A checkpoint as a QR code, for the paper duty log: what is on paper, no root can change.

The code holds the signed note, byte for byte; any reader of QR codes gives it back. The package segno makes it; it is
imported where it is used.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from vaultd.anchor.faults import AnchorError
from vaultd.i18n import _

if TYPE_CHECKING:
    import segno

_SCALE = 6
_QUIET = 4
_WHITE_ON_BLACK, _RESET = "\x1b[40;97m", "\x1b[0m"


def terminal(note: bytes, *, colour: bool = True) -> str:
    """Lines of half blocks, white on black whatever the terminal's colours are: readers do not take an inverted code.
    Without ``colour`` it is for a dark terminal."""
    found = io.StringIO()
    _code(note).terminal(found, border=_QUIET, compact=True)
    lines = found.getvalue().splitlines()
    return "".join(f"{_WHITE_ON_BLACK}{line}{_RESET}\n" if colour else f"{line}\n" for line in lines)


def png(note: bytes) -> bytes:
    """A picture, black on white."""
    found = io.BytesIO()
    _code(note).save(found, kind="png", scale=_SCALE, border=_QUIET)
    return found.getvalue()


def _code(note: bytes) -> segno.QRCode:
    import segno

    try:
        # Level M mends 15 %: a fold or a stain. As bytes: segno would else choose an encoding by the characters.
        return segno.make_qr(note, error="m", mode="byte", boost_error=False)
    except segno.DataOverflowError as error:
        raise AnchorError(
            _("the checkpoint does not fit into a QR code"), _("it has {count} bytes").format(count=len(note))
        ) from error  # fmt: skip
