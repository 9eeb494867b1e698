"""A portion of the daemon's daily share, in a process of its own: ``python -P -m vaultd.verify.portion PARENT``.

The request comes as a line of JSON on standard input, and what is found goes out as lines: progress, then the result.
Nothing of it is held in the daemon's memory, and it can be ended at any moment: what was read back by then is kept. It
dies with its parent.

The share of a day is what lets everything be read back in four fifths of the period. Of what there is, that comes first
which was never verified, then that which was longest ago. A day has two shares: of the vaults' files as they are now,
compared with the ledger; and of all that is stored there, pack by pack (``packs``), so older snapshots too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vaultd import config, custody, fetch, places, targets
from vaultd.config.model import Config, VaultConfig
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.model import Progress
from vaultd.priority import die_with_parent
from vaultd.restic.process import Repository
from vaultd.store import Store
from vaultd.verify import coverage, packs, work
from vaultd.verify.kept import Kept
from vaultd.verify.result import Asked, Kind, Result
from vaultd.verify.run import Verification

BYTES, FILES = 256 << 20, 20_000
"""What one portion reads at most, but for the last file."""

RESERVE = 0.8
DAY = 86400.0
WHO = "daemon"


@dataclass(frozen=True, slots=True)
class Day:
    """What was read back at a target on a day, of how much. ``stored``: bytes of packs."""

    day: str
    files: int = 0
    bytes: int = 0
    files_due: int = 0
    bytes_due: int = 0
    differences: int = 0
    stored: int = 0
    stored_due: int = 0

    @property
    def files_over(self) -> bool:
        """Whether that is enough of the files."""
        return self.files >= self.files_due and self.bytes >= self.bytes_due

    @property
    def over(self) -> bool:
        """Whether that is enough."""
        return self.files_over and self.stored >= self.stored_due

    @property
    def packs_next(self) -> bool:
        """Whether it is the packs' turn: where the line is too slow for the whole of a day, neither share starves."""
        if self.stored >= self.stored_due:
            return False
        return self.files_over or self.stored * max(1, self.bytes_due) < self.bytes * self.stored_due


async def portion(settings: Config, store: Store, target: str, tell: Any) -> dict[str, Any]:
    """Read back a portion. Returns what the daemon wants to know: ``files``, ``bytes``, ``differences``, ``packs``,
    ``damaged`` (of those), ``over`` (the day's share is read) and ``error``. Raises VaultdError where the repository
    cannot be looked at."""
    vaults = [vault for vault in settings.vault if target in vault.targets]
    vaults.sort(key=lambda vault: (vault.priority, vault.name))
    names = [vault.name for vault in vaults]
    day = _kept_day(settings, store, target)
    if day is None:
        await _sweep(settings, store, target, tell).renew()
        day = _day(settings, store, target, names)
    found: dict[str, Any] = dict.fromkeys(("files", "bytes", "differences", "packs", "damaged"), 0) | {"error": None}
    if day.packs_next:
        day = await _stored(settings, store, target, day, found, tell)
    elif not day.over:
        day = await _files(settings, store, target, vaults, day, found, tell)
    store.set_meta(_key(target), json.dumps(asdict(day)))
    coverage.update(store, target, names, settings.verify.period)
    return found | {"over": day.over}


async def _files(
    settings: Config, store: Store, target: str, vaults: list[VaultConfig], day: Day, found: dict[str, Any], tell: Any
) -> Day:  # fmt: skip
    """Read back files as they are now. Returns the day with what was read."""
    result = await _first(settings, store, target, vaults, day, tell)
    over = result is None  # nothing is due
    if result is not None:
        custody.leave(settings.host.state, result.entry(WHO))
        day = replace(
            day, files=day.files + result.files, bytes=day.bytes + result.size,
            differences=day.differences + result.count,
        )  # fmt: skip
        over = result.files == 0 and result.error is None
        error = result.error.as_json() if result.error else None
        found |= {"files": result.files, "bytes": result.size, "differences": result.count, "error": error}
    return replace(day, files_due=day.files, bytes_due=day.bytes) if over else day


async def _stored(
    settings: Config, store: Store, target: str, day: Day, found: dict[str, Any], tell: Any
) -> Day:  # fmt: skip
    """Read back packs. Returns the day with what was read."""
    most = min(BYTES, day.stored_due - day.stored)
    before = time.time_ns() - int(settings.verify.period * RESERVE * 1e9)
    swept = await _sweep(settings, store, target, tell).read(most, before)
    if swept.packs:
        custody.leave(settings.host.state, swept.entry(target, WHO))
    error = swept.error.as_json() if swept.error else None
    found |= {"packs": swept.packs, "damaged": len(swept.faults), "error": error}
    day = replace(day, stored=day.stored + swept.size)
    nothing = swept.packs == 0 and swept.error is None
    return replace(day, stored_due=day.stored) if nothing else day


def _sweep(settings: Config, store: Store, target: str, tell: Any) -> packs.Sweep:
    def show(done: int, total: int, size: int, whole: int) -> None:
        tell(Progress("verify", "", target, "packs", done, total, size, whole, 0.0, None))

    limit = settings.verify.limit
    return packs.Sweep(
        store, store.target_id(target), _repository(settings, store, target),
        fetch.of_target(settings, settings.target_named(target), limit), limit, show,
    )  # fmt: skip


def _repository(settings: Config, store: Store, target: str) -> Repository:
    """As it is reached within the budget."""
    return replace(
        targets.repository(settings, settings.target_named(target)), limit_download=settings.verify.limit,
        key_hint=store.get_meta(f"key:{target}") or None,
    )  # fmt: skip


async def _first(
    settings: Config, store: Store, target: str, vaults: list[VaultConfig], day: Day, tell: Any
) -> Result | None:
    """Verify of the first vault that has something due."""
    period = settings.verify.period * RESERVE
    most = (min(BYTES, max(1, day.bytes_due - day.bytes)), min(FILES, max(1, day.files_due - day.files)))
    repository = _repository(settings, store, target)
    fetching = fetch.of_target(settings, settings.target_named(target), settings.verify.limit)
    for vault in vaults:
        kept = Kept(store, vault.name, target)
        asked = Asked(Kind.DAILY, most=most, period=period)
        if not kept.turn(asked):
            continue
        with work.folder(settings.host.state) as place:
            one = Verification(
                repository, vault.name, target, settings.ledger_folder, settings.host.name, place, asked, kept,
                fetching, {}, tell, settings.host.stall_seconds,
            )  # fmt: skip
            return await one.run()
    return None


def _key(target: str) -> str:
    return f"verify:day:{target}"


def _day(settings: Config, store: Store, target: str, vaults: list[str]) -> Day:
    """The day so far; at its beginning, how much is due."""
    kept = _kept_day(settings, store, target)
    if kept is not None:
        return kept
    days = settings.verify.period / DAY
    found = coverage.update(store, target, vaults, settings.verify.period)
    store.forget_old_verified()
    share = min(1.0, 1 / (RESERVE * days))
    return Day(
        turn_of(settings.verify.period), files_due=-int(-found["files"] * share // 1),
        bytes_due=int(found["bytes"] * share), stored_due=int(found["stored"]["bytes"] * share),
    )  # fmt: skip


def _kept_day(settings: Config, store: Store, target: str) -> Day | None:
    """The day, where it has begun."""
    kept = json.loads(store.get_meta(_key(target)) or "{}")
    return Day(**kept) if kept.get("day") == turn_of(settings.verify.period) else None


def turn_of(period: float) -> str:
    """The name of the day, by the host's clock; of a shorter time, where the period is shorter than one."""
    return time.strftime("%Y-%m-%d") if period >= DAY else str(int(time.time() // period))


def main() -> int:
    """Read the request, verify a portion, answer."""
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    request = json.loads(sys.stdin.readline())
    settings = config.load(Path(request["config"]))

    def tell(progress: Progress) -> None:
        print(json.dumps({"progress": asdict(progress)}), flush=True)

    store = Store(places.database(settings.host.state))
    store.alerts.on_change = coverage.leaver(settings.host.state)
    try:
        found = asyncio.run(portion(settings, store, request["target"], tell))
    except VaultdError as error:
        found = {"files": 0, "bytes": 0, "differences": 0, "packs": 0, "damaged": 0, "over": False,
                 "error": error.as_json()}  # fmt: skip
    except KeyboardInterrupt:
        return 130  # what was read back is kept
    finally:
        store.close()
    print(json.dumps({"result": found}), flush=True)
    return 0


async def run(file: Path, target: str, on_progress: Any) -> dict[str, Any]:
    """Run a portion as a child process; cancelling ends it, and keeps what it has read back. Raises VaultdError when it
    cannot run."""
    async with _child() as child:
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("no pipes")
        child.stdin.write(json.dumps({"config": str(file), "target": target}).encode() + b"\n")
        child.stdin.close()
        found: dict[str, Any] | None = None
        async for line in child.stdout:
            message = json.loads(line)
            if "progress" in message:
                on_progress(Progress(**message["progress"]))
            else:
                found = message["result"]
        code = await child.wait()
    if found is None:
        raise VaultdError(
            _("the verification of target {target} ended").format(target=target),
            _("exit code {code}").format(code=code),
        )
    return found


@contextlib.asynccontextmanager
async def _child() -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "vaultd.verify.portion", str(os.getpid()),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield child
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            try:
                async with asyncio.timeout(10):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()


if __name__ == "__main__":
    sys.exit(main())
