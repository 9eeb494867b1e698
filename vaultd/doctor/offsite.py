"""The targets: host key pinned, login, right to write, room, clock, and whether our repository is there and opens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from vaultd import sftp, targets, units
from vaultd.anchor.probe import WAIT, Probed, probe
from vaultd.config import Config, TargetConfig
from vaultd.doctor.finding import ADVICE, FAULT, FINE, Finding
from vaultd.errors import HostKeyError, MissingRepositoryError, VaultdError
from vaultd.i18n import _
from vaultd.ledger import epochs
from vaultd.ledger.events import HostKeyRefused
from vaultd.names import display
from vaultd.restic import commands

LEAST_FREE = 1024**3
MOST_SKEW = 60.0


def check_targets(config: Config) -> Iterator[Finding]:
    """Connect to every target and look."""
    if not config.target:
        yield Finding(FAULT, "targets", _("no target is configured"), _("add one: vaultd target add --help"))
    for target in config.target:
        # Whether a mirror is an anchor takes minutes to find out: `vaultd target check` does.
        yield from check_target(config, target, wait=None)


def check_target(
    config: Config, target: TargetConfig, pinned_repository: str | None = None,
    on_probed: Callable[[Probed], None] | None = None, wait: float | None = WAIT,
    on_refused: Callable[[HostKeyRefused], None] | None = None,
) -> Iterator[Finding]:  # fmt: skip
    """Connect to one target and look. ``pinned_repository``: the repository's id when it was first used.

    ``on_probed`` is told whether the checkpoints there are an anchor; ``wait``: see ``anchor.probe``; None: that is not
    looked at. ``on_refused`` is told when the server showed another host key than the pinned one, for the ledger.
    """
    subject = f"target {target.name}"
    known_hosts = config.known_hosts(target)
    if not sftp.pinned_keys(known_hosts, target.host, target.port):
        text = _("target {name}: the host key of {host} was never confirmed").format(name=target.name, host=target.host)
        yield Finding(FAULT, subject, text, _("vaultd target trust {name}").format(name=target.name))
        return
    try:
        seen = sftp.preflight(target, known_hosts)
    except VaultdError as error:
        if on_refused is not None and isinstance(error, HostKeyError):
            on_refused(HostKeyRefused(target.name, error.why or error.what))
        yield Finding.of(subject, error)
        return
    yield Finding(FINE, subject, _("target {name}: login works").format(name=target.name))
    yield from _server(target, seen)
    if seen.writable and wait is not None:
        yield from _checkpoints(config, target, on_probed, wait)
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


def _checkpoints(
    config: Config, target: TargetConfig, on_probed: Callable[[Probed], None] | None, wait: float
) -> Iterator[Finding]:  # fmt: skip
    """Whether the ledger's checkpoints there are a mirror or an anchor; nothing where there is no ledger yet."""
    subject = f"checkpoints {target.name}"
    if not config.ledger_folder.is_dir():
        return
    try:
        found = probe(config, target, epochs.read(config.ledger_folder).origin, wait=wait)
    except VaultdError as error:
        yield Finding.of(subject, error)
        return
    except (OSError, ValueError) as error:
        yield Finding(FAULT, subject, str(error), _("`vaultd ledger verify` says what is wrong"))
        return
    if on_probed is not None:
        on_probed(found)
    yield _anchor(target, found)


def _anchor(target: TargetConfig, found: Probed) -> Finding:
    subject = f"checkpoints {target.name}"
    if found.is_anchor:
        text = _("target {name}: the ledger's checkpoints there are an anchor: this host's account cannot change them")
        return Finding(FINE, subject, text.format(name=target.name))
    text = _("target {name}: the ledger's checkpoints there are a mirror, not an anchor").format(name=target.name)
    if found.verdict == "no-copies":
        return Finding(
            ADVICE, subject, text, _("the server can keep copies out of our reach: config/offsite/README.md")
        )
    if found.verdict == "not-copied":
        why = _("the server has not copied the probe file in time")
        mend = _("does its timer run? systemctl list-timers 'vaultd-anchor-*' there; then check again")
        return Finding(ADVICE, subject, f"{text}: {why}", mend)
    why = _("our account was able to: {actions}").format(actions="; ".join(found.failed))
    return Finding(ADVICE, subject, f"{text}: {why}", _("see owners and modes in config/offsite/README.md"))


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
