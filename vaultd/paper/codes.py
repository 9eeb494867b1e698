"""QR codes, and what is read back from pictures of them. ``zbarimg`` reads, a program of another author."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

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
    """The texts of all codes in a picture. Raises PaperError when there is none, or no program to read it."""
    what = _("picture {file}").format(file=display(image))
    program = shutil.which("zbarimg")
    if program is None:
        raise PaperError(
            what, _("there is no program zbarimg to read it"),
            _("apt-get install zbar-tools; or type what any QR reader shows"),
        )  # fmt: skip
    try:
        # The picture is opened here: what it is called is nobody's option.
        with image.open("rb"):
            done = subprocess.run(
                [program, "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", str(image.absolute())],
                capture_output=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
    except OSError as error:
        raise PaperError(what, error.strerror or str(error)) from None
    except subprocess.TimeoutExpired:
        raise PaperError(
            what, _("it takes too long to read"), _("make it smaller, or type what is printed beside the code")
        ) from None
    found = done.stdout.decode("utf-8", "replace").splitlines()
    if not found:
        raise PaperError(
            what, _("no QR code was found in it"),
            _("photograph the code alone, straight and sharp, with white around it; or type what is printed beside it"),
        )  # fmt: skip
    return found
