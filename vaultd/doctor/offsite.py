"""The targets: host key pinned, login, repository, room, permission to write."""

from __future__ import annotations

from collections.abc import Iterator

from vaultd import targets, units
from vaultd.config import Config
from vaultd.doctor.finding import ADVICE, FAULT, FINE, Finding
from vaultd.errors import VaultdError
from vaultd.i18n import _

LEAST_FREE = 1024**3
MOST_SKEW = 60.0


def check_targets(config: Config) -> Iterator[Finding]:
    """Connect to every target and look."""
    if not config.target:
        yield Finding(FAULT, "targets", _("no target is configured"), _("add one: vaultd target add --help"))
    for target in config.target:
        subject = f"target {target.name}"
        try:
            found = targets.check(config, target)
        except VaultdError as error:
            yield Finding.of(subject, error)
            continue
        text = _("target {name} answers, and its repository opens").format(name=target.name)
        yield Finding(FINE, subject, text)
        if found.free is not None and found.free < LEAST_FREE:
            text = _("target {name} has only {size} left").format(name=target.name, size=units.size(found.free))
            yield Finding(ADVICE, subject, text, _("make room there or apply retention"))
