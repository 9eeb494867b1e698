"""Puts the parts together: configuration, store, vaults, targets, and a worker for each target."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from vaultd import files, memory, places, reach, targets
from vaultd.config import check_folders
from vaultd.config.medium import MediumTarget
from vaultd.config.model import AnyTarget, Config
from vaultd.custody import Custody
from vaultd.evacuate import medium
from vaultd.model import Progress
from vaultd.protect import dump, recover
from vaultd.protect.hold import held
from vaultd.protect.refs import Context, TargetRef, VaultRef
from vaultd.protect.worker import Worker
from vaultd.restic import features
from vaultd.restic.process import Repository
from vaultd.store import Store


@dataclass(frozen=True, slots=True)
class Assembly:
    """Everything that protects, ready to run. ``vaults`` and ``workers`` by name."""

    context: Context
    vaults: dict[str, VaultRef]
    workers: dict[str, Worker]

    @property
    def store(self) -> Store:
        """The state database."""
        return self.context.store


@contextlib.asynccontextmanager
async def at_work(config: Config, on_progress: Callable[[Progress], None]) -> AsyncIterator[Assembly]:
    """``assemble`` for an event loop. When its tasks were cancelled, what they had begun in threads goes on: it is
    waited for, since closing a database that a thread is reading ends the whole process (SIGSEGV)."""
    with assemble(config, on_progress) as assembly:
        try:
            yield assembly
        finally:
            await asyncio.get_running_loop().shutdown_default_executor()


@contextlib.contextmanager
def assemble(config: Config, on_progress: Callable[[Progress], None]) -> Iterator[Assembly]:
    """Open the state and build the workers. What a dead daemon left running is ended first.

    Raises ConfigError for folders that cannot be vaults, StateError for a state that cannot be used.
    """
    memory.collect_seldom()
    database = places.database(config.host.state)
    if not database.exists():
        check_folders(config)  # refused before a record of it is made
    files.make_private_directory(config.host.state)
    store = Store(database)
    with contextlib.ExitStack() as opened:
        opened.callback(store.close)
        check_folders(config, known=[vault.name for vault in config.vault if not store.is_empty_vault(vault.name)])
        folders = {target.name: config.target_folder(target) for target in config.target}
        folders |= {
            one.label: config.target_folder(medium.target_of(config, one.label)) for one in medium.prepared(store)
        }
        left = recover.end_runs(store, config.host.cache, lambda name: name in folders and held(folders[name]))
        recover.clear_lists(config.host.state)
        custody = Custody(config, store)
        opened.callback(custody.close)
        custody.begin(left)
        context = Context(config, store, custody, on_progress)
        refs = {
            target.name: TargetRef(
                store.target_id(target.name), target.name, target, _repository(config, target, store)
            )
            for target in config.target
        }
        vaults = {vault.name: VaultRef.of(store, vault) for vault in config.vault}
        _owe_new_targets(store, vaults)
        workers = {}
        for name, ref in refs.items():
            own = [vault for vault in vaults.values() if ref.id in vault.targets]
            for vault in own:
                dump.show_failing(store, vault, ref)  # one that is not in the configuration any more fails no longer
            workers[name] = Worker(context, ref, own, partial(_prepare, context))
            opened.callback(workers[name].close)
        yield Assembly(context, vaults, workers)


def worker_at(context: Context, target: MediumTarget, vaults: Iterable[VaultRef]) -> Worker:
    """A worker for a medium that was prepared as a target, which is owed these vaults from now on. Who observes changes
    must do so with what ``medium.owe`` returns, so that the medium is owed those too. Close it."""
    ref = medium.target_ref(context.config, context.store, target)
    return Worker(context, ref, medium.owe(context.store, ref, vaults), partial(_prepare, context))


def _repository(config: Config, target: AnyTarget, store: Store) -> Repository:
    """With the hint that spares restic trying several keys, each of which takes half a second."""
    hint = store.get_meta(f"key:{target.name}")
    return replace(targets.repository(config, target), key_hint=hint or None)


async def _prepare(context: Context, target: TargetRef, repair: bool) -> None:
    # First what needs no line. restic would open a connection to ask for the host key, only to refuse it.
    await asyncio.to_thread(reach.check, context.config, target.config)
    await features.version(context.config.host.restic)

    async def lift() -> bool:
        return bool(await targets.lift_own_dead_locks(context.config, target.config, context.store))

    async with reach.explained(target.config):
        await recover.attach(context, target, repair, lift)


def _owe_new_targets(store: Store, vaults: dict[str, VaultRef]) -> None:
    """A target that is new to a vault which the catalog knows already is owed all of it. So is one that comes back:
    what changed while the configuration did not name it was not noted for it."""
    named = {f"series:{vault.id}:{target}": (vault.id, target) for vault in vaults.values() for target in vault.targets}
    known = set(store.meta_keys("series:"))
    for key in known - named.keys():
        store.set_meta(key, "")
    for key in named.keys() - known:
        vault, target = named[key]
        if not store.is_empty(vault):
            store.mark_all(target, vault)
        store.set_meta(key, "1")
