"""QR codes of a share and of the kit's file, and what is read back from pictures of them.

The file takes several codes: ``VAULTD-KIT:<kit>:<part>/<parts>:`` and so many characters of it, its line feeds as
``~``. Pictures are read by ``zbarimg``, a program of another author.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from vaultd.i18n import _
from vaultd.kit import seal, spelling
from vaultd.kit.faults import KitError
from vaultd.kit.seal import Sealed
from vaultd.kit.shares import Share
from vaultd.names import display

PART = 600
"""Characters of a code at most: version 21 at level M, of which a module is 0.6 mm wide on the sheet."""

_PART = re.compile(r"VAULTD-KIT:([0-9a-f]{8}):([1-9][0-9]?)/([1-9][0-9]?):(.+)", re.ASCII)
_SECONDS = 60


def parts(sealed: Sealed) -> list[str]:
    """The texts of the codes that hold the kit's file."""
    whole = sealed.encoded.decode("ascii").replace("\n", "~")
    count = -(-len(whole) // PART)
    width = -(-len(whole) // count)
    pieces = [whole[at : at + width] for at in range(0, len(whole), width)]
    return [f"VAULTD-KIT:{sealed.kit}:{place}/{len(pieces)}:{piece}" for place, piece in enumerate(pieces, 1)]


def picture(text: str, scale: int = 6) -> bytes:
    """A code as PNG, black on white; level M mends 15 %: a fold or a stain."""
    import segno

    found = io.BytesIO()
    segno.make_qr(text, error="m", boost_error=False).save(found, kind="png", scale=scale, border=4)
    return found.getvalue()


def read(image: Path) -> list[str]:
    """The texts of all codes in a picture. Raises KitError when there is none, or no program to read it."""
    what = _("picture {file}").format(file=display(image))
    program = shutil.which("zbarimg")
    if program is None:
        raise KitError(
            what, _("there is no program zbarimg to read it"),
            _("apt-get install zbar-tools; or type the share, which any QR reader shows as text"),
        )  # fmt: skip
    try:
        # The picture is opened here: what it is called is nobody's option.
        with image.open("rb"):
            done = subprocess.run(
                [program, "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", str(image.absolute())],
                capture_output=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
    except OSError as error:
        raise KitError(what, error.strerror or str(error)) from None
    except subprocess.TimeoutExpired:
        raise KitError(what, _("it takes too long to read"), _("make it smaller, or type the share")) from None
    found = done.stdout.decode("utf-8", "replace").splitlines()
    if not found:
        raise KitError(
            what, _("no QR code was found in it"),
            _("photograph the code alone, straight and sharp, with white around it; or type the share"),
        )  # fmt: skip
    return found


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
