"""This machine: programs, memory, load, the kernel's limits for watching folders."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from vaultd import units
from vaultd.config import Config
from vaultd.doctor.finding import ADVICE, FAULT, FINE, Finding
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.restic import features

LEAST_MEMORY = 256 * 1024 * 1024
QUEUE_WISH = 1_048_576
_INOTIFY = Path("/proc/sys/fs/inotify")


def check_host(config: Config, folders: int) -> Iterator[Finding]:
    """Look at programs, memory, load and limits. ``folders``: how many folders the vaults have in all."""
    yield _restic(config)
    yield _ssh()
    yield from _dump_programs(config)
    yield from _inotify(config, folders)
    yield from _memory()
    if os.geteuid() != 0:
        yield Finding(
            ADVICE, "user", _("this is not root: not everything can be looked at"), _("run `vaultd doctor` as root")
        )  # fmt: skip


def _restic(config: Config) -> Finding:
    try:
        found = asyncio.run(features.version(config.host.restic))
    except VaultdError as error:
        return Finding.of("restic", error)
    return Finding(FINE, "restic", _("restic {version}").format(version=".".join(map(str, found))))


def _ssh() -> Finding:
    if shutil.which("ssh") is None:
        return Finding(FAULT, "ssh", _("the ssh client is missing"), _("apt install openssh-client"))
    return Finding(FINE, "ssh", _("the ssh client is there"))


def _dump_programs(config: Config) -> Iterator[Finding]:
    for vault in config.vault:
        for dump in vault.dump:
            subject = f"dump {vault.name}/{dump.name}"
            if shutil.which(dump.command[0]) is None:
                text = _("dump {name} of vault {vault}: there is no program {program}").format(
                    name=dump.name, vault=vault.name, program=display(dump.command[0])
                )
                yield Finding(FAULT, subject, text, _("install it, or give its whole path in the configuration"))
            else:
                yield Finding(FINE, subject, _("program of dump {name} is there").format(name=dump.name))


def _inotify(config: Config, folders: int) -> Iterator[Finding]:
    if not config.vault:
        return
    watches, queue = _limit("max_user_watches"), _limit("max_queued_events")
    if watches is not None and folders > watches:
        text = _("the kernel lets a user watch {limit} folders, the vaults have {folders}").format(
            limit=units.number(watches), folders=units.number(folders)
        )
        yield Finding(FAULT, "watches", text, _sysctl("fs.inotify.max_user_watches", 2 * folders))
    elif watches is not None:
        yield Finding(FINE, "watches", _("{limit} folders may be watched").format(limit=units.number(watches)))
    if queue is not None and queue < QUEUE_WISH:
        text = _(
            "the kernel keeps {limit} events that were not fetched yet: a larger burst of changes leads to a scan"
        ).format(limit=units.number(queue))
        yield Finding(ADVICE, "event queue", text, _sysctl("fs.inotify.max_queued_events", QUEUE_WISH))
    instances = _limit("max_user_instances")
    if instances is not None and instances < 2 * len(config.vault) + 8:
        text = _("the kernel lets a user open {limit} watchers").format(limit=units.number(instances))
        yield Finding(ADVICE, "watchers", text, _sysctl("fs.inotify.max_user_instances", 1024))


def _sysctl(name: str, value: int) -> str:
    return _("put {setting} into /etc/sysctl.d/vaultd.conf, then: sysctl --system").format(setting=f"{name}={value}")


def _limit(name: str) -> int | None:
    try:
        return int((_INOTIFY / name).read_text())
    except (OSError, ValueError):
        return None  # not readable in this container: nothing to say


def _memory() -> Iterator[Finding]:
    import psutil

    free = psutil.virtual_memory().available
    if free < LEAST_MEMORY:
        text = _("only {size} of memory are free; restic needs some for its index").format(size=units.size(free))
        yield Finding(ADVICE, "memory", text, _("end other programs, or add memory"))
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    text = _("load {load} on {cores} cores, {size} of memory free").format(
        load=f"{load:.1f}", cores=cores, size=units.size(free)
    )
    yield Finding(ADVICE if load > 4 * cores else FINE, "load", text)
