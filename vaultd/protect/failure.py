"""What a failed run means: which alert it raises, and how long to wait before the next try."""

from __future__ import annotations

import random

from vaultd.errors import RepositoryError, TargetError, VaultdError

FIRST_WAIT = 5.0
LONGEST_WAIT = 300.0

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

CLEARED_BY_SUCCESS = tuple(sorted(set(ALERTS.values()) - {"state"}))
"""Alerts of a target that a run which went well puts an end to."""


DISPROVED_BY_CONTACT = (
    "authentication", "host-key", "repository-foreign", "repository-missing", "restic", "target-unreachable",
)  # fmt: skip
"""Those that are over when the repository opens, though nothing is to be sent: one may read from a full target."""


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
