"""What a run of restic is given, and what is known of it afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vaultd.errors import ResticError
from vaultd.i18n import _
from vaultd.restic import proc
from vaultd.restic.fetch import Fetching

Started = Callable[[int, int], None]
"""Called with process number and start time (clock ticks since boot) before restic runs. Must have recorded them when
it returns; when it raises, restic does not run."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Repository:
    """How restic reaches a repository. The password is only ever named by its file.

    ``url`` is restic's repository string; ``cache`` a folder of ours (also restic's HOME); ``options`` more global
    arguments, such as ``("-o", "sftp.args=-F '/x/ssh_config'")``; ``limit_upload`` and ``limit_download`` KiB/s;
    ``urgent``: it gives way to nobody on this host. ``temp`` its TMPDIR; ``files``: its own files without restic, where
    that way is known (``blobs``, ``contents``).
    """

    url: str
    password_file: Path
    cache: Path
    binary: str = "restic"
    options: tuple[str, ...] = ()
    key_hint: str | None = None
    limit_upload: int | None = None
    limit_download: int | None = None
    temp: Path | None = None
    urgent: bool = False
    files: Fetching | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run ended. ``code`` is negative for a signal's number; ``stderr`` the last 64 KiB, control characters
    replaced; ``stalled``: it showed no life and was killed; ``gave_up``: it was ended because it went on retrying
    the same operation in vain; ``lost_line``: because its ssh had ended; ``duration`` in seconds."""

    code: int
    stderr: str
    stalled: bool
    duration: float
    gave_up: bool = False
    lost_line: bool = False


def environment(repository: Repository, marker: str) -> dict[str, str]:
    """restic's whole environment, built from scratch: nothing of ours leaks in, and no secret is in it."""
    values = {
        "PATH": PATH,
        "HOME": str(repository.cache.absolute()),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "RESTIC_REPOSITORY": repository.url,
        "RESTIC_PASSWORD_FILE": str(repository.password_file.absolute()),
        proc.CACHE: str(repository.cache.absolute()),
        "RESTIC_PROGRESS_FPS": "2",
        proc.MARKER: marker,
        proc.OWNER: proc.owner(),
    }
    if repository.temp is not None:
        values["TMPDIR"] = str(repository.temp)
    if repository.key_hint:
        values["RESTIC_KEY_HINT"] = repository.key_hint
    return values


def find_binary(binary: str) -> str:
    """The absolute path of the restic program. Raises ResticError when there is none."""
    found = shutil.which(binary)
    if found is None:
        raise ResticError(
            _("restic cannot be run"),
            _("there is no program {name}").format(name=binary),
            _("install restic 0.18 or newer, or name its path in the configuration: restic, table [host]"),
        )
    return os.path.abspath(found)
