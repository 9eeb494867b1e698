"""What the commands share: runs that collect their output, restic's times, patterns for single paths."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from vaultd.errors import ResticError
from vaultd.i18n import _
from vaultd.restic.exit import error_of
from vaultd.restic.process import Repository, run

READ_STALL = 120.0
"""Seconds without a sign of life after which a short, reading command is ended."""

WAIT_FOR_LOCK = ("--retry-lock", "10s")

_FRACTION = re.compile(r"\.(\d+)")
_GLOB = re.compile(rb"[\\*?\[\]]")


async def collect(repository: Repository, args: Sequence[str | bytes], what: str, stall: float = READ_STALL) -> bytes:
    """The whole standard output of a run that must end with code 0."""
    output = bytearray()
    finished = await run(repository, args, stdout_to=output.extend, stall=stall)
    error = error_of(finished, what)
    if error is not None:
        raise error
    return bytes(output)


async def collect_json(repository: Repository, args: Sequence[str | bytes], what: str) -> Any:
    """The one JSON value that a run prints. Raises ResticError when it is none."""
    output = await collect(repository, args, what)
    try:
        return json.loads(output)
    except ValueError as error:
        raise ResticError(what, _("restic printed something else than JSON: {error}").format(error=error)) from error


def nanoseconds(text: str) -> int:
    """An RFC 3339 time with up to nine decimals, as restic prints it, in nanoseconds since 1970."""
    found = _FRACTION.search(text)
    fraction = int(found[1].ljust(9, "0")[:9]) if found else 0
    whole = datetime.fromisoformat(_FRACTION.sub("", text).replace("Z", "+00:00"))
    return int(whole.timestamp()) * 1_000_000_000 + fraction


def literal(path: bytes) -> bytes:
    """A pattern for restic's includes and excludes that matches just this absolute path (and what lies below)."""
    return _GLOB.sub(rb"\\\g<0>", path)
