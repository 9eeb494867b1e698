"""What a failed run means: which alert it raises, and how long to wait before the next try."""

from __future__ import annotations

import contextlib
import errno
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from vaultd.errors import RepositoryError, StateError, TargetError, TargetFullError, VaultdError
from vaultd.i18n import _
from vaultd.names import display

FIRST_WAIT = 5.0
LONGEST_WAIT = 300.0
STATE_WAIT = 15.0
"""The state folder is ours, and looking at it costs nothing: no longer wait than this."""

ROOM_BYTES = 32 << 20
"""With less room than this here, restic's "no space left on device" is not about the target."""

ALERTS = {
    "unreachable": "target-unreachable",
    "host-key": "host-key",
    "authentication": "authentication",
    "locked": "repository-locked",
    "repository": "repository-damaged",
    "repository-missing": "repository-missing",
    "repository-foreign": "repository-foreign",
    "target-full": "target-full",
    "target-read-only": "target-read-only",
    "target": "target-unreachable",
    "restic": "restic",
    "state": "state",
}
"""The alert for an error's code."""

CLEARED_BY_SUCCESS = tuple(sorted(set(ALERTS.values())))
"""Alerts of a target that a run which went well puts an end to."""


DISPROVED_BY_CONTACT = (
    "authentication", "host-key", "repository-foreign", "repository-missing", "restic", "target-unreachable",
)  # fmt: skip
"""Those that are over when the repository opens, though nothing is to be sent: one may read from a full target."""


HOST_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


@contextlib.contextmanager
def told(state: Path) -> Iterator[None]:
    """A disk of ours that is full or broken, as a StateError: it is no fault of the target's."""
    try:
        yield
    except OSError as error:
        if error.errno not in HOST_FULL:
            raise
        raise of_state(state, error.strerror or str(error)) from error
    except TargetFullError as error:  # restic has no other words for its own cache and temporary files
        if shutil.disk_usage(state).free >= ROOM_BYTES:
            raise
        raise of_state(state, error.why) from error


def of_state(state: Path, why: str) -> StateError:
    """The error of a state folder that cannot be written to."""
    return StateError(
        _("the state folder {path} cannot be used").format(path=display(state)), why,
        _("run it as root or as the daemon's user; check that its disk is mounted and not full"),
    )  # fmt: skip


def alert_of(error: VaultdError) -> str:
    """The code of the alert that a failed run raises."""
    found = ALERTS.get(error.code)
    if found is not None:
        return found
    if isinstance(error, RepositoryError):
        return "repository-damaged"
    return "target-unreachable" if isinstance(error, TargetError) else "restic"


def wait_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubling, with some chance in it, at most five minutes."""
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** max(0, failures - 1))
    return wait * random.uniform(0.8, 1.2)  # noqa: S311  # spreads retries, guards nothing
