"""QR codes, and what is read back from pictures of them. ``zbarimg`` reads, a program of another author."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from vaultd.i18n import _
from vaultd.names import display
from vaultd.paper.faults import PaperError

_SECONDS = 60


def picture(text: str, scale: int = 6) -> bytes:
    """A code as PNG, black on white; level M mends 15 %: a fold or a stain."""
    import segno

    found = io.BytesIO()
    segno.make_qr(text, error="m", boost_error=False).save(found, kind="png", scale=scale, border=4)
    return found.getvalue()


def read(image: Path) -> list[str]:
    """The texts of the codes in a picture of one or a few. Raises PaperError when there is none, or no program to read
    it."""
    what = _("picture {file}").format(file=display(image))
    try:
        # The picture is opened here: what it is called is nobody's option.
        with image.open("rb"):
            found = _decoded(str(image.absolute()), None, what)
    except OSError as error:
        raise PaperError(what, error.strerror or str(error)) from None
    return found or _none(what)


def read_all(image: Path) -> list[str]:
    """The texts of all codes in a picture of many, such as a shelf or a sheet of labels, each once. zbarimg loses codes
    where there are many beside one another: it is shown the whole picture, and then pieces of it that overlap. Raises
    PaperError."""
    what = _("picture {file}").format(file=display(image))
    try:
        with image.open("rb"):
            found = dict.fromkeys(_decoded(str(image.absolute()), None, what))
            for piece in _pieces(image):
                found |= dict.fromkeys(_decoded("-", piece, what))
    except OSError as error:
        raise PaperError(what, error.strerror or str(error)) from None
    return list(found) or _none(what)


def _pieces(image: Path) -> Iterator[bytes]:
    """A picture in pieces of two sizes, each half over the next; nothing of what Pillow does not take."""
    from PIL import Image

    try:
        with Image.open(image) as opened:
            whole = opened.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return  # zbarimg has said what it thinks of it
    for across, down in ((2, 3), (4, 6)):
        width, height = whole.width // (across + 1), whole.height // (down + 1)
        for x, y in itertools.product(range(across), range(down)):
            out = io.BytesIO()
            box = (x * width, y * height, (x + 2) * width, (y + 2) * height)
            whole.crop(box).save(out, "PNG", compress_level=1)
            yield out.getvalue()


def _decoded(name: str, content: bytes | None, what: str) -> list[str]:
    program = shutil.which("zbarimg")
    if program is None:
        raise PaperError(
            what, _("there is no program zbarimg to read it"),
            _("apt-get install zbar-tools; or type what any QR reader shows"),
        )  # fmt: skip
    try:
        done = subprocess.run(
            [program, "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", name], input=content or b"",
            capture_output=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise PaperError(
            what, _("it takes too long to read"), _("make it smaller, or type what is printed beside the code")
        ) from None
    return done.stdout.decode("utf-8", "replace").splitlines()


def _none(what: str) -> NoReturn:
    raise PaperError(
        what, _("no QR code was found in it"),
        _("photograph the code alone, straight and sharp, with white around it; or type what is printed beside it"),
    )  # fmt: skip
