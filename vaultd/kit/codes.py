"""QR codes of a share and of the kit's file, and what is read back from pictures of them.

The file takes several codes: ``VAULTD-KIT:<kit>:<part>/<parts>:`` and so many characters of it, its line feeds as
``~``. Pictures are read by ``zbarimg``, a program of another author.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vaultd.i18n import _
from vaultd.kit import seal, spelling
from vaultd.kit.faults import KitError
from vaultd.kit.seal import Sealed
from vaultd.kit.shares import Share
from vaultd.paper import codes
from vaultd.paper.faults import PaperError

PART = 600
"""Characters of a code at most: version 21 at level M, of which a module is 0.6 mm wide on the sheet."""

_PART = re.compile(r"VAULTD-KIT:([0-9a-f]{8}):([1-9][0-9]?)/([1-9][0-9]?):(.+)", re.ASCII)


def parts(sealed: Sealed) -> list[str]:
    """The texts of the codes that hold the kit's file."""
    whole = sealed.encoded.decode("ascii").replace("\n", "~")
    count = -(-len(whole) // PART)
    width = -(-len(whole) // count)
    pieces = [whole[at : at + width] for at in range(0, len(whole), width)]
    return [f"VAULTD-KIT:{sealed.kit}:{place}/{len(pieces)}:{piece}" for place, piece in enumerate(pieces, 1)]


def read(image: Path) -> list[str]:
    """The texts of all codes in a picture. Raises KitError when there is none, or no program to read it."""
    try:
        return codes.read(image)
    except PaperError as error:
        raise KitError(error.what, error.why, error.hint) from None


def shares_in(texts: Iterable[str]) -> list[Share]:
    """The shares among the texts of codes."""
    return [spelling.parse(one) for one in texts if one.upper().startswith(spelling.PREFIX)]


def kit_in(texts: Sequence[str]) -> Sealed | None:
    """The kit that its codes give; None when there is not one of them. Raises KitError when some are missing."""
    found: dict[tuple[str, int], dict[int, str]] = {}
    for text in texts:
        match = _PART.fullmatch(text)
        if match is not None:
            found.setdefault((match[1], int(match[3])), {})[int(match[2])] = match[4]
    if not found:
        return None
    if len(found) > 1:
        kits = ", ".join(sorted({kit for kit, _count in found}))
        raise KitError(_("the codes do not belong together"), _("they are of the kits {kits}").format(kits=kits))
    (((kit, count), pieces),) = found.items()
    missing = [str(place) for place in range(1, count + 1) if place not in pieces]
    if missing:
        raise KitError(
            _("the codes of kit {kit}").format(kit=kit),
            _("of {count} codes these are missing: {missing}").format(count=count, missing=", ".join(missing)),
            _("give pictures of all of them"),
        )  # fmt: skip
    return seal.read("".join(pieces[place] for place in range(1, count + 1)).replace("~", "\n").encode("ascii"))
