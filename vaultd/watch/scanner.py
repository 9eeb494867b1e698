"""The scan of a whole vault in processes of its own: the daemon stays quick, and two cores walk at once.

``python -m vaultd.watch.scanner`` reads one JSON request on standard input and writes JSON lines: progress, then the
result. It dies with its parent. Paths are base64 in it: they need not be UTF-8, and are secret, so never in an
argument list.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gc
import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from vaultd.errors import StateError, VaultdError
from vaultd.i18n import _
from vaultd.priority import die_with_parent
from vaultd.store import Store
from vaultd.watch import guard
from vaultd.watch.result import Counts, RootProblem, ScanResult
from vaultd.watch.scan import note_orphans, scan
from vaultd.watch.walk import OnProgress, Walk

PARTS = 64  # enough to share evenly between two processes, and to show progress
FEW = 16  # fewer directories than this are not worth a second process
LINE_LIMIT = 4 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """Which vault to scan: its folder, its number and its targets' in the database."""

    database: str
    vault: int
    targets: tuple[int, ...]
    root: bytes
    accept: bool = False
    processes: int = 2


async def scan_in_process(
    database: Path,
    vault: int,
    targets: tuple[int, ...],
    root: bytes,
    *,
    accept: bool = False,
    processes: int = 2,
    on_progress: OnProgress | None = None,
) -> ScanResult:
    """Scan a whole vault in child processes; see ``scan.scan``. Cancelling ends them. Raises VaultdError when they
    fail.
    """
    import asyncio  # here and below: the scan of a small vault takes less time than what it does not need takes to load

    request = Request(str(database), vault, targets, root, accept, processes)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "vaultd.watch.scanner", str(os.getpid()),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT, start_new_session=True,
    )  # fmt: skip
    if child.stdin is None or child.stdout is None or child.stderr is None:
        raise RuntimeError("no pipes")  # asked for above: cannot be
    errors = asyncio.create_task(child.stderr.read())
    try:
        child.stdin.write(json.dumps(_packed(dataclasses.asdict(request))).encode() + b"\n")
        child.stdin.close()
        result: ScanResult | None = None
        async for line in child.stdout:
            message = json.loads(line)
            if "progress" in message and on_progress is not None:
                on_progress(*message["progress"])
            elif "error" in message:
                raise VaultdError(_("the scan failed"), message["error"])
            elif "result" in message:
                result = _result(_unpacked(message["result"]))
        code, said = await child.wait(), await errors
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # the second process belongs to its group
            await child.wait()
        errors.cancel()
    if result is None:
        last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise VaultdError(_("the scan failed"), last or _("it ended with {code}").format(code=code))
    return result


def scan_parallel(request: Request, on_progress: OnProgress | None = None) -> ScanResult:
    """Scan a whole vault with worker processes. To be called in a process with one thread and no open database."""
    began, clock = time.time_ns(), time.monotonic()
    store = Store(Path(request.database))
    try:
        before = guard.check(store, request.vault, request.root, accept=request.accept)
        if before.problem:
            return ScanResult(began, time.monotonic() - clock, root_problem=before.problem)
        parts = _parts(request.root, before)
        if request.processes < 2 or len(parts) < FEW:
            return scan(
                store, request.vault, request.targets, request.root, on_progress=on_progress, accept=request.accept
            )
        # Before what is in them: nothing is recorded in a folder that the catalog does not have.
        upper = Walk(store, request.vault, request.targets, request.root, before.skipped, accept=request.accept)
        upper.entries(parts)
        total = upper.finish()
        total.files = total.directories = total.size = 0  # counted again in the folders above them
    finally:
        store.close()  # before any fork: SQLite's connections do not survive one
    total.skipped |= before.skipped
    workers = (request, before.skipped, parts, os.getpid())
    _share_out(workers, total, on_progress)
    store = Store(Path(request.database))
    try:
        rest = Walk(store, request.vault, request.targets, request.root, before.skipped, accept=request.accept)
        note_orphans(store, request.vault, rest)
        total.add(rest.finish())
    finally:
        store.close()
    return total.result(began, time.monotonic() - clock)


def _share_out(
    workers: tuple[Request, frozenset[bytes], list[bytes], int], total: Counts, on_progress: OnProgress | None
) -> None:
    """Have all parts walked by worker processes; adds what they found to ``total``. Raises OSError when one dies."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    request, _skipped, parts, _parent = workers
    fork = multiprocessing.get_context("fork")
    try:
        with ProcessPoolExecutor(request.processes, fork, _begin_worker, workers) as pool:
            for done in as_completed([pool.submit(_work, part) for part in parts]):
                total.add(done.result())
                if on_progress is not None:
                    on_progress(total.files, total.directories, total.size)
    except BrokenProcessPool as error:
        raise ChildProcessError(str(error)) from error


def _parts(root: bytes, before: guard.Guard) -> list[bytes]:
    """Directories to share out: the upper ones of the vault, from the top down. A part is what is below it without
    other parts.
    """
    parts = [b""]
    for part in parts:  # grows while it is walked
        if len(parts) >= PARTS:
            break
        try:
            with os.scandir(root + b"/" + part if part else root) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # the walk will report it
        below = [part + b"/" + name if part else name for name in names]
        parts.extend(path for path in below if not before.hides(path))
    return parts


_workers: list[Walk] = []  # one, in a worker process


def _begin_worker(request: Request, skipped: frozenset[bytes], parts: list[bytes], parent: int) -> None:
    die_with_parent(parent)
    store = Store(Path(request.database))
    gc.disable()
    _workers.append(Walk(store, request.vault, request.targets, request.root, skipped, parts, accept=request.accept))


def _work(part: bytes) -> Counts:
    (walk,) = _workers
    walk.below(part)
    return walk.finish()


def main() -> int:
    """The child process: one request in, JSON lines out."""
    die_with_parent(int(sys.argv[1]))
    gc.disable()  # a walk makes millions of tuples and no cycles: a tenth of the time
    fields = _unpacked(json.loads(sys.stdin.buffer.readline()))
    fields["targets"] = tuple(fields["targets"])
    last = 0.0

    def report(files: int, directories: int, size: int) -> None:
        nonlocal last
        if time.monotonic() - last > 0.2:
            last = time.monotonic()
            _say({"progress": [files, directories, size]})

    try:
        result = scan_parallel(Request(**fields), report)
    except (OSError, StateError, sqlite3.Error) as error:
        _say({"error": str(error)})
        return 1
    _say({"result": _packed(dataclasses.asdict(result))})
    return 0


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def _packed(value: Any) -> Any:
    """Bytes as ``{"b64": ...}``, so that JSON can carry them."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict):
        return {key: _packed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(inner) for inner in value]
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"b64"}:
            return base64.b64decode(value["b64"])
        return {key: _unpacked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unpacked(inner) for inner in value]
    return value


def _result(fields: dict[str, Any]) -> ScanResult:
    return ScanResult(
        **fields
        | {
            "unreadable": tuple(fields["unreadable"]),
            "skipped_mounts": tuple(fields["skipped_mounts"]),
            "root_problem": RootProblem(fields["root_problem"]),
        }
    )


if __name__ == "__main__":
    sys.exit(main())
