"""A backup that somebody asked for: scan, protect at every target at once, and say what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from vaultd.control.service import Outcome, State
from vaultd.daemon.assembly import Assembly
from vaultd.errors import ConfigError, PartialError, VaultdError
from vaultd.i18n import _
from vaultd.protect import dump
from vaultd.protect.refs import VaultRef
from vaultd.protect.snapshot import Done
from vaultd.protect.worker import Worker

Scan = Callable[[VaultRef], Awaitable[object]]


def chosen(assembly: Assembly, names: Iterable[str]) -> list[VaultRef]:
    """The vaults of these names, all when there is none, by priority. Raises ConfigError for an unknown one."""
    wanted = list(dict.fromkeys(names)) or list(assembly.vaults)
    for name in wanted:
        assembly.context.config.vault_named(name)
    if not wanted:
        raise ConfigError(
            _("there is no vault in the configuration"), str(assembly.context.config.file),
            _("add a [[vault]] table: its name, path, classification and targets"),
        )  # fmt: skip
    return sorted((assembly.vaults[name] for name in wanted), key=lambda vault: (vault.config.priority, vault.name))


async def backup(
    assembly: Assembly, vaults: Sequence[VaultRef], scan: Scan, *, full: bool, accept_empty: bool
) -> list[Outcome]:
    """Protect what is pending in these vaults, by priority; every target goes its own pace. Never raises VaultdError:
    each outcome has its own.

    ``accept_empty``: an emptied folder and missing mounts are meant. The full snapshot that has it so is made at once.
    """
    full = full or accept_empty
    ready: list[tuple[VaultRef, int]] = []
    outcomes: list[Outcome] = []
    for vault in vaults:
        try:
            if accept_empty:
                assembly.store.accept(vault.id, True)  # until the next full snapshot
            await scan(vault)
            ready.append((vault, assembly.store.seq()))
        except VaultdError as error:
            outcomes.extend(_failed(vault, name, error) for name in vault.config.targets)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_at_target(worker, ready, full=full, assembly=assembly))
            for worker in assembly.workers.values()
        ]
    for task in tasks:
        outcomes.extend(task.result())
    return outcomes


async def _at_target(
    worker: Worker, vaults: Sequence[tuple[VaultRef, int]], *, full: bool, assembly: Assembly
) -> list[Outcome]:
    found: list[Outcome] = []
    broken: VaultdError | None = None
    for vault, upto in vaults:
        if worker.target.id not in vault.targets:
            continue
        if broken is not None:  # the target itself failed a moment ago
            found.append(_failed(vault, worker.target.name, broken))
            continue
        try:
            made = await worker.fulfil(vault.id, full=full, upto=upto)
        except VaultdError as error:
            found.append(_failed(vault, worker.target.name, error))
            broken = None if error.code == "root" else error
            continue
        found.append(_outcome(assembly, worker, vault, made, full=full))
    return found


def _outcome(
    assembly: Assembly, worker: Worker, vault: VaultRef, made: Sequence[Done], *, full: bool
) -> Outcome:  # fmt: skip
    rows = assembly.store.pending_rows(worker.target.id, vault.id)
    unread = tuple(row.path for row in rows if row.problem == "unread")
    error = _failing_dumps(assembly, worker, vault) if full else None
    if not made:
        return Outcome(vault.name, worker.target.name, unread=unread, error=error)
    last = made[-1]
    return Outcome(
        vault.name, worker.target.name, last.kind.value, last.snapshot, last.change_set, last.files, last.total,
        sum(done.sent for done in made), sum(done.seconds for done in made), unread, error,
    )  # fmt: skip


def _failing_dumps(assembly: Assembly, worker: Worker, vault: VaultRef) -> dict[str, str | int] | None:
    found = dump.failing(assembly.store, vault, worker.target.id)
    if not found:
        return None
    return PartialError(
        _("not every dump of vault {vault} was made").format(vault=vault.name),
        "; ".join(f"{name}: {why}" for name, why in found.items()),
        _("run its command by hand as the daemon's user"),
    ).as_json()


def _failed(vault: VaultRef, target: str, error: VaultdError) -> Outcome:
    return Outcome(vault.name, target, error=error.as_json())


def state_of(outcomes: Sequence[Outcome]) -> State:
    """ "done", "partial" when some succeeded, files were unread or dumps failed, "failed" when none did."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors and len(errors) == len(outcomes) and any(error["code"] != PartialError.code for error in errors):
        return "failed"
    return "partial" if errors or any(outcome.unread for outcome in outcomes) else "done"
