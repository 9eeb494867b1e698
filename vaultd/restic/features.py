"""Which restic this is. vaultd needs 0.18: exit codes 10 to 12, ``--retry-lock``, error lines."""

from __future__ import annotations

import asyncio
import re
import subprocess

from vaultd.errors import ResticError
from vaultd.i18n import _
from vaultd.restic.repository import PATH, find_binary

Version = tuple[int, int, int]

NEEDED: Version = (0, 18, 0)
_SAID = re.compile(r"restic (\d+)\.(\d+)(?:\.(\d+))?")
_SECONDS = 20


async def version(binary: str = "restic") -> Version:
    """The version of the restic program. Raises ResticError when it is missing, does not run, or is too old."""
    return await asyncio.to_thread(_version, find_binary(binary))


def _version(program: str) -> Version:
    what = _("restic cannot be used")
    install = _("install restic 0.18 or newer (Debian 13 has it), or name its path: restic, table [host]")
    try:
        ended = subprocess.run(
            [program, "version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False,
            env={"PATH": PATH, "LANG": "C.UTF-8"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ResticError(
            what, _("{program} does not run: {error}").format(program=program, error=error), install
        ) from error
    said = ended.stdout.decode("utf-8", "replace").strip()
    match = _SAID.match(said)
    if ended.returncode != 0 or match is None:
        raise ResticError(what, _("{program} is not restic").format(program=program), install)
    found = (int(match[1]), int(match[2]), int(match[3] or 0))
    if found < NEEDED:
        raise ResticError(
            what,
            _("{program} is version {found}, at least {needed} is needed").format(
                program=program, found=".".join(map(str, found)), needed=".".join(map(str, NEEDED))
            ),
            install,
        )
    return found
