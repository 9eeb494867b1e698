"""The lamp of a disk's bay: through the enclosure's files in sysfs, else by the program ledctl."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from vaultd.disks.model import Disk
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.pull.stack import Reader

_SECONDS = 30


class LocateError(VaultdError):
    """No lamp can be lit."""

    code = "locate"


def light(disk: Disk, reader: Reader, *, on: bool) -> str:
    """Light the lamp, or put it out. Returns by what: a file, or the program. Raises LocateError where that cannot be
    done, or the enclosure does not do it."""
    what = _("the lamp of disk {disk}").format(disk=disk.serial or disk.key)
    names = [name for name in disk.names if reader.exists(name)]
    if not names:
        raise LocateError(what, _("the disk is not there any more"))
    file = lamp(names, reader)
    if file is not None:
        try:
            file.write_text("1" if on else "0")
            said = file.read_text().strip()
        except OSError as error:
            raise LocateError(what, error.strerror or str(error), _("run it as root")) from None
        if said != ("1" if on else "0"):
            raise LocateError(what, _("the enclosure does not take it: {file}").format(file=file))
        return str(file)
    program = shutil.which("ledctl", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise LocateError(
            what, _("its enclosure has no lamp that the kernel knows, and there is no program ledctl"),
            _("apt-get install ledmon; or read from the disk and look which one blinks"),
        )  # fmt: skip
    word = "locate" if on else "locate_off"
    try:
        done = subprocess.run(
            [program, f"{word}=/dev/{names[0]}"], capture_output=True, timeout=_SECONDS, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocateError(what, _("ledctl failed: {error}").format(error=error)) from None
    if done.returncode:
        text = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = "".join(one if one.isprintable() else "?" for one in (text[-1] if text else str(done.returncode)))
        raise LocateError(what, _("ledctl failed: {error}").format(error=said), _("run it as root"))
    return "ledctl"


def lamp(names: list[str], reader: Reader) -> Path | None:
    """The file of the bay's lamp, None where the enclosure has none."""
    devices = {os.path.realpath(reader.block / name / "device") for name in names}
    top = reader.root / "sys/class/enclosure"
    for slot in sorted(top.glob("*/*/device")):
        if os.path.realpath(slot) in devices and (slot.parent / "locate").exists():
            return slot.parent / "locate"
    return None
