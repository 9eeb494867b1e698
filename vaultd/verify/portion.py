"""A portion of the daemon's daily share, in a process of its own: ``python -P -m vaultd.verify.portion PARENT``.

The request comes as a line of JSON on standard input, and what is found goes out as lines: progress, then the result.
Nothing of it is held in the daemon's memory, and it can be ended at any moment: what was read back by then is kept. It
dies with its parent.

The share of a day is what lets everything be read back in four fifths of the period. Of what there is, that comes first
which was never verified, then that which was longest ago.
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
from vaultd.hashing import die_with_parent
from vaultd.i18n import _
from vaultd.model import Progress
from vaultd.store import Store
from vaultd.verify import coverage, work
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
    """What was read back at a target on a day, of how much."""

    day: str
    files: int = 0
    bytes: int = 0
    files_due: int = 0
    bytes_due: int = 0
    differences: int = 0

    @property
    def over(self) -> bool:
        """Whether that is enough."""
        return self.files >= self.files_due and self.bytes >= self.bytes_due


async def portion(settings: Config, store: Store, target: str, tell: Any) -> dict[str, Any]:
    """Read back a portion. Returns what the daemon wants to know: ``files``, ``bytes``, ``differences``, ``over`` (the
    day's share is read) and ``error``."""
    vaults = [vault for vault in settings.vault if target in vault.targets]
    vaults.sort(key=lambda vault: (vault.priority, vault.name))
    names = [vault.name for vault in vaults]
    day = _day(settings, store, target, names)
    found: dict[str, Any] = {"files": 0, "bytes": 0, "differences": 0, "over": day.over, "error": None}
    if day.over:
        return found
    result = await _first(settings, store, target, vaults, day, tell)
    over = result is None  # nothing is due
    if result is not None:
        day = replace(
            day, files=day.files + result.files, bytes=day.bytes + result.size,
            differences=day.differences + result.count,
        )  # fmt: skip
        over = day.over or (result.files == 0 and result.error is None)
        error = result.error.as_json() if result.error else None
        found |= {"files": result.files, "bytes": result.size, "differences": result.count, "error": error}
    if over:
        day = replace(day, files_due=day.files, bytes_due=day.bytes)
    store.set_meta(_key(target), json.dumps(asdict(day)))
    coverage.update(store, target, names, settings.verify.period)
    if result is not None:
        custody.leave(settings.host.state, result.entry(WHO))
    return found | {"over": over}


async def _first(
    settings: Config, store: Store, target: str, vaults: list[VaultConfig], day: Day, tell: Any
) -> Result | None:
    """Verify of the first vault that has something due."""
    period = settings.verify.period * RESERVE
    most = (min(BYTES, max(1, day.bytes_due - day.bytes)), min(FILES, max(1, day.files_due - day.files)))
    repository = replace(
        targets.repository(settings, settings.target_named(target)), limit_download=settings.verify.limit,
        key_hint=store.get_meta(f"key:{target}") or None,
    )  # fmt: skip
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
    today = turn_of(settings.verify.period)
    kept = json.loads(store.get_meta(_key(target)) or "{}")
    if kept.get("day") == today:
        return Day(**kept)
    days = settings.verify.period / DAY
    found = coverage.update(store, target, vaults, settings.verify.period)
    store.forget_old_verified()
    share = min(1.0, 1 / (RESERVE * days))
    return Day(today, files_due=-int(-found["files"] * share // 1), bytes_due=int(found["bytes"] * share))


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
        found = {"files": 0, "bytes": 0, "differences": 0, "over": False, "error": error.as_json()}
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
