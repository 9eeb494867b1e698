"""Whether there is mains power: by NUT's ``upsc``, and by the kernel's power supplies.

``upsc NAME ups.status`` prints words such as ``OL CHRG`` or ``OB DISCHRG LB``. It may hang on a server that is gone: it
has a time limit, and is ended then.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from vaultd.errors import VaultdError
from vaultd.i18n import _

SYSFS = Path("/sys/class/power_supply")
LONGEST = 4096
_OFF = frozenset({"OB", "FSD"})
"""On battery; the UPS has ordered everybody to shut down."""


class PowerError(VaultdError):
    """It is not known whether there is power."""

    code = "power"


async def ups_is_off(upsc: str, name: str, seconds: float) -> bool:
    """Whether a UPS feeds us from its battery. Raises PowerError when it does not say within ``seconds``."""
    what = _("the UPS {name}").format(name=name)
    try:
        process = await asyncio.create_subprocess_exec(
            upsc, name, "ups.status", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise PowerError(what, f"{upsc}: {error.strerror or error}") from None
    try:
        said, complained = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        raise PowerError(what, _("no answer within {seconds} s").format(seconds=f"{seconds:g}")) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    words = said[:LONGEST].decode("utf-8", "replace").split()
    if process.returncode != 0 or not words:
        why = complained[:LONGEST].decode("utf-8", "replace").strip().splitlines()
        raise PowerError(what, why[-1] if why else _("it says nothing"))
    return is_off(words)


def is_off(words: list[str]) -> bool:
    """What the words of ups.status say."""
    return bool(_OFF & set(words))


def kernel_is_off(root: Path = SYSFS) -> bool | None:
    """Whether the kernel's power supplies say that mains power is gone; None where there is none that could say so.

    Of several mains supplies one is enough. A battery alone says so while it discharges.
    """
    mains, batteries = list[bool](), list[bool]()
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        kind = _text(folder / "type")
        if kind == "Mains":
            online = _text(folder / "online")
            if online in ("0", "1"):
                mains.append(online == "1")
        elif kind in ("Battery", "UPS") and _text(folder / "scope") != "Device":  # a mouse has a battery, too
            status = _text(folder / "status")
            if status and status != "Unknown":
                batteries.append(status == "Discharging")
    if mains:
        return not any(mains)
    return any(batteries) if batteries else None


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:  # it went, or has no such attribute
        return ""
