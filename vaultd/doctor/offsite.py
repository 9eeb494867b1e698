"""The targets: host key pinned, login, right to write, room, clock, and whether our repository is there and opens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from vaultd import sftp, targets, units
from vaultd.config import Config, TargetConfig
from vaultd.doctor.finding import ADVICE, FAULT, FINE, Finding
from vaultd.errors import MissingRepositoryError, VaultdError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.restic import commands

LEAST_FREE = 1024**3
MOST_SKEW = 60.0


def check_targets(config: Config) -> Iterator[Finding]:
    """Connect to every target and look."""
    if not config.target:
        yield Finding(FAULT, "targets", _("no target is configured"), _("add one: vaultd target add --help"))
    for target in config.target:
        yield from check_target(config, target)


def check_target(config: Config, target: TargetConfig, pinned_repository: str | None = None) -> Iterator[Finding]:
    """Connect to one target and look. ``pinned_repository``: the repository's id when it was first used."""
    subject = f"target {target.name}"
    known_hosts = config.known_hosts(target)
    if not sftp.pinned_keys(known_hosts, target.host, target.port):
        text = _("target {name}: the host key of {host} was never confirmed").format(name=target.name, host=target.host)
        yield Finding(FAULT, subject, text, _("vaultd target trust {name}").format(name=target.name))
        return
    try:
        seen = sftp.preflight(target, known_hosts)
    except VaultdError as error:
        yield Finding.of(subject, error)
        return
    yield Finding(FINE, subject, _("target {name}: login works").format(name=target.name))
    yield from _server(target, seen)
    yield _repository(config, target, pinned_repository)


def _server(target: TargetConfig, seen: sftp.Preflight) -> Iterator[Finding]:
    subject = f"target {target.name}"
    if seen.write_error is not None:
        yield Finding.of(subject, seen.write_error)
    else:
        text = _("target {name}: {folder} can be written to")
        yield Finding(FINE, subject, text.format(name=target.name, folder=display(seen.folder)))
    if seen.space is not None:
        text = _("target {name}: {size} are free").format(name=target.name, size=units.size(seen.space.free))
        if seen.space.free < LEAST_FREE:
            yield Finding(ADVICE, subject, text, _("make room there or apply retention"))
        else:
            yield Finding(FINE, subject, text)
    if seen.clock_skew is not None and abs(seen.clock_skew) > MOST_SKEW:
        text = _("target {name}: its clock differs from ours by {duration}").format(
            name=target.name, duration=units.duration(abs(seen.clock_skew))
        )
        yield Finding(ADVICE, subject, text, _("check the time service of both hosts"))


def _repository(config: Config, target: TargetConfig, pinned: str | None) -> Finding:
    subject = f"repository {target.name}"
    try:
        found = asyncio.run(commands.repository_id(targets.repository(config=config, target=target)))
    except MissingRepositoryError as error:
        return Finding(FAULT, subject, str(error), _("make it: vaultd init"))
    except VaultdError as error:
        return Finding.of(subject, error)
    if pinned is not None and found != pinned:
        text = _("target {name}: the repository is another one than before").format(name=target.name)
        mend = _("check the path of the target; if it is meant: vaultd target trust {target} --repository")
        return Finding(FAULT, subject, text, mend.format(target=target.name))
    return Finding(FINE, subject, _("target {name}: the repository opens").format(name=target.name))
