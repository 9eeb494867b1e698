"""Dump snapshots: the output of a vault's dump command, streamed into the repository and tied to its full snapshot."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from functools import partial
from pathlib import Path

from vaultd import dumping, files
from vaultd.config.model import DumpConfig
from vaultd.errors import ResticError, VaultdError
from vaultd.i18n import _
from vaultd.ledger.events import RunEnded
from vaultd.model import SnapshotKind
from vaultd.protect.recorded import record_process
from vaultd.protect.refs import Context, TargetRef, VaultRef
from vaultd.protect.snapshot import Done, monotone_time
from vaultd.restic import commands
from vaultd.restic.tags import new_change_set, tags_of
from vaultd.store import Acknowledgement, Store

log = logging.getLogger(__name__)

RETRY_SECONDS = 900.0


def due_at(store: Store, vault: VaultRef, target: int, dump: DumpConfig) -> float:
    """When a dump is to be made next: seconds since 1970 by the clock, 0 when it was never made."""
    due = float(store.get_meta(_key(vault, target, dump)) or 0)
    return 0.0 if due > time.time() + dump.every else due  # never so far ahead, unless the clock was set back


def _key(vault: VaultRef, target: int, dump: DumpConfig) -> str:
    return f"dump:{vault.id}:{target}:{dump.name}"


async def make_dump(context: Context, vault: VaultRef, target: TargetRef, dump: DumpConfig) -> Done | None:
    """Make one dump snapshot. A failed or empty dump raises an alert and is tried again later: None. Raises what stops
    the target itself (unreachable, locked, full ...)."""
    store = context.store
    run = new_change_set(store.next_order())
    moment, forced = monotone_time(store)
    full = store.last_snapshot(target.id, vault.id, SnapshotKind.FULL)
    tags = tags_of(
        vault.name, SnapshotKind.DUMP, run, vault.root, dump=dump.name, dump_of="" if full is None else full.change_set
    )
    folder = context.config.host.state / "lists"
    files.make_private_directory(folder)
    result_file = folder / f"{run}.dump"
    begun = time.monotonic()
    store.begin_run(run, target.id, vault.id, SnapshotKind.DUMP)
    # While the command says nothing, restic and its ssh show no life either.
    stall = context.config.host.stall_seconds + dump.silence
    argv = [sys.executable, "-I", str(Path(dumping.__file__)), os.fspath(result_file), str(dump.silence), *dump.command]
    try:
        result = await commands.backup_command(
            target.repository, argv, stdin_filename=dump.filename, host=context.config.host.name, tags=tags,
            time=forced, stall=stall, started=partial(record_process, store, run), marker=run,
        )  # fmt: skip
        counted = _result(result_file)
        if result.snapshot_id is None or counted is None or counted["exit"] != 0:
            raise ResticError(_("the dump failed"), _("its output is not complete"))
    except BaseException as error:
        store.end_run(run, "failed", time.monotonic() - begun, error=type(error).__name__)
        kind = SnapshotKind.DUMP.value
        context.custody.note(RunEnded(vault.name, target.name, kind, run, "failed", type(error).__name__))
        code = _exit_code(_result(result_file))
        # What a command says on its way out ("connection refused") may read as if it were said of the target.
        if (isinstance(error, VaultdError) and code > 0) or (isinstance(error, ResticError) and code < 0):
            _failed(store, vault, target, dump, error, code)
            return None
        raise
    finally:
        result_file.unlink(missing_ok=True)
    size = int(counted["bytes"])
    moment = moment if forced is not None or result.began is None else result.began
    acknowledgement = Acknowledgement(
        run, result.snapshot_id, target.id, vault.id, SnapshotKind.DUMP, moment, 1, size, 0,
        dump=dump.name, digest=bytes.fromhex(str(counted["sha256"])),
    )  # fmt: skip
    context.custody.record(acknowledgement)
    store.note_time(moment)
    store.set_meta(_key(vault, target.id, dump), str(time.time() + dump.every))
    seconds = time.monotonic() - begun
    store.end_run(run, "done", seconds, files=1, total=size, sent=result.data_added_packed)
    store.set_meta(_failing_key(vault, target.id, dump), "")
    show_failing(store, vault, target)
    return Done(
        run, result.snapshot_id, SnapshotKind.DUMP, 1, size, result.data_added_packed, seconds, 0, 1, 0, 0, 0
    )  # fmt: skip


def _result(path: Path) -> dict[str, int | str] | None:
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _exit_code(counted: dict[str, int | str] | None) -> int:
    return 0 if counted is None else int(counted["exit"])


def failing(store: Store, vault: VaultRef, target: int) -> dict[str, str]:
    """The dumps of a vault whose last run failed at a target, and why."""
    found = {dump.name: store.get_meta(_failing_key(vault, target, dump)) for dump in vault.config.dump}
    return {name: why for name, why in found.items() if why}


def show_failing(store: Store, vault: VaultRef, target: TargetRef) -> None:
    """Raise the alert for the dumps that fail, with all their names, or clear it when none does."""
    found = failing(store, vault, target.id)
    if found:
        detail = {"name": ", ".join(found), "error": "; ".join(dict.fromkeys(found.values()))}
        store.alerts.raise_("dump-failed", vault=vault.name, target=target.name, detail=detail)
    else:
        store.alerts.clear("dump-failed", vault=vault.name, target=target.name)


def _failing_key(vault: VaultRef, target: int, dump: DumpConfig) -> str:
    return f"dump-failed:{vault.id}:{target}:{dump.name}"


def _failed(
    store: Store, vault: VaultRef, target: TargetRef, dump: DumpConfig, error: VaultdError, code: int
) -> None:  # fmt: skip
    if code == dumping.EMPTY:
        why = _("nothing was printed")
    elif code == dumping.SILENT:
        why = _("it printed nothing for {seconds:.0f} s and was ended").format(seconds=dump.silence)
    elif code == dumping.UNFINISHED:
        why = _("it was killed")
    else:
        why = _("exit code {code}").format(code=code)
    store.set_meta(_failing_key(vault, target.id, dump), why)
    show_failing(store, vault, target)
    store.set_meta(_key(vault, target.id, dump), str(time.time() + min(RETRY_SECONDS, dump.every / 4)))
    log.warning("vault %s: dump %s failed: %s", vault.name, dump.name, error)
