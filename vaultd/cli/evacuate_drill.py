"""``vaultd evacuate start --drill``: the whole machinery on a payload of its own, measured, and put on record."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaultd import units
from vaultd.cli.base import Cli
from vaultd.cli.format import duration
from vaultd.errors import (
    EXIT_DIFFERENCE,
    EXIT_DONE,
    EXIT_PARTIAL,
    MissingRepositoryError,
    PartialError,
    VaultdError,
)
from vaultd.i18n import _

if TYPE_CHECKING:
    from vaultd.evacuate.rehearsal import Measured, Rehearsal

POLL_SECONDS = 0.1
START_SECONDS = 300.0


def run(cli: Cli, said: dict[str, str], size: int, limit: float) -> int:
    """Practise an evacuation of ``size`` bytes; at most ``limit`` seconds. Exit 3 where not all was safe by then."""
    from vaultd.evacuate.rehearsal import rehearsal
    from vaultd.store import Store

    config = cli.config()
    store = Store(cli.places().database)
    try:
        with rehearsal(config, store) as drill:
            cli.note(_("DRILL {id}: {count} targets; nothing real is touched.").format(
                id=drill.number, count=len(config.target)))  # fmt: skip
            reached = _repositories(cli, drill)
            drill.prepare(reached)
            measured, document = _practise(cli, drill, store, said, size, limit)
            one = drill.hand_over(store, measured)
            _clear(drill)
    finally:
        store.close()
    return _tell(cli, document, measured, complete=one is not None)


def _repositories(cli: Cli, drill: Rehearsal) -> list[str]:
    """The drill's own repository at every target that can be reached: made where it is not there."""
    from vaultd import targets
    from vaultd.evacuate.rehearsal import SUFFIX
    from vaultd.restic import commands

    reached = []
    for target in drill.config.target:
        beside = target.model_copy(update={"path": target.path.rstrip("/") + SUFFIX})
        place = targets.repository(drill.config, beside)
        try:
            try:
                asyncio.run(commands.repository_id(place))
            except MissingRepositoryError:
                asyncio.run(commands.init(place))
        except VaultdError as error:
            cli.note(_("Target {name} does not take part: {error}").format(name=target.name, error=error))
            continue
        reached.append(target.name)
    if not reached:
        raise PartialError(_("the drill"), _("no target can be reached"), _("try vaultd target check"))
    return reached


def _practise(
    cli: Cli, drill: Rehearsal, real: Any, said: dict[str, str], size: int, limit: float
) -> tuple[list[Measured], dict[str, Any]]:
    from vaultd.control.client import Client
    from vaultd.evacuate.rehearsal import TIERS, Measured

    client = Client(drill.socket)
    with _daemon(drill) as child:
        _until(child, lambda: _protected(client), START_SECONDS, _("the drill's vaults are not protected yet"), real)
        drill.fill(size)
        document, _joined = client.evacuate({**said, "drill": True})
        _say(drill, document, "ordered")
        cli.note(_("DRILL: ordered; {size} are on their way.").format(size=units.size(size)))

        def over() -> bool:
            nonlocal document
            found = client.evacuation()
            document = found if found is not None else document
            return bool(document["evacuation"]["state"] == "copied")

        complete = _until(child, over, limit, "", real)
        measured = [
            Measured("tier-safe", one["target"], _milliseconds(document, one), one["safe_files"], one["safe_bytes"])
            for one in document["tiers"] if one["safe_at"] is not None and one["tier"] == TIERS
        ]  # fmt: skip
        if complete:
            measured += [_restored(drill, target["target"]) for target in document["targets"]]
        document = client.end_evacuation("") or document
        _say(drill, document, "ended")
        return measured, document


def _say(drill: Rehearsal, document: dict[str, Any], step: str) -> None:
    """Who would be told in earnest is told, as a drill."""
    from vaultd.evacuate import company, order
    from vaultd.notices.telling import teller
    from vaultd.store.evacuations import Evacuation
    from vaultd.units import parse_rfc3339

    found = document["evacuation"]
    ordered = parse_rfc3339(found["ordered"])
    details = company.filled(drill.config, found["level"], found["category"], order.Details()).given()
    one = Evacuation(
        found["id"], True, found["state"], found["level"], found["category"], found["who"], ordered, None, "", details
    )
    company.say(drill.config, one, step, teller(drill.config))


def _milliseconds(document: dict[str, Any], tier: dict[str, Any]) -> int:
    from vaultd.units import parse_rfc3339

    begun = parse_rfc3339(document["evacuation"]["ordered"])
    return (parse_rfc3339(tier["safe_at"]) - begun) // 1_000_000


def _protected(client: Any) -> bool:
    found = client.status()
    return bool(found["vaults"]) and all(
        there["last_full"] is not None and there["owed"] == 0 for vault in found["vaults"] for there in vault["targets"]
    )


def _until(child: subprocess.Popen[bytes], true: Any, seconds: float, what: str, real: Any) -> bool:
    """Poll. False when the time is up and nothing is said of ``what``. A real order ends every drill at once."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(VaultdError):
            if true():
                return True
        if real.open_evacuation() is not None:
            raise PartialError(
                _("the drill"), _("a real evacuation was ordered: the drill is broken off"),
                _("see vaultd evacuate watch"),
            )  # fmt: skip
        if child.poll() is not None:
            raise VaultdError(_("the drill"), _("its daemon has ended"), _("try vaultd run: does it start here?"))
        if time.monotonic() > deadline:
            if what:
                raise PartialError(_("the drill"), what, _("see vaultd target check"))
            return False
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _daemon(drill: Rehearsal) -> Iterator[subprocess.Popen[bytes]]:
    """The drill's own daemon."""
    with open(drill.folder / "daemon.log", "ab", opener=_private) as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", "vaultd", "--config", str(drill.file), "run"],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
        )  # fmt: skip
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _restored(drill: Rehearsal, target: str) -> Measured:
    """Bring the first tier back from a target, and compare some of it."""
    from vaultd.evacuate.rehearsal import VAULT, Measured

    begun, scratch = time.monotonic(), drill.folder / f"restored-{target}"
    command = [sys.executable, "-m", "vaultd", "--config", str(drill.file), "restore", VAULT.format(tier=1),
               "--target", target, "--latest", "--to", str(scratch)]  # fmt: skip
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    count, size, wrong = drill.sample(1, _found(scratch))
    took = int((time.monotonic() - begun) * 1000)
    return Measured("sampled-restore", target, took, count, size, wrong)


def _found(scratch: Path) -> Path:
    """Where the payload is in what came back."""
    return next((path.parent for path in scratch.rglob("drill") if path.is_file()), scratch)


def _clear(drill: Rehearsal) -> None:
    """The drill's snapshots go; what stays of its repository is empty."""
    from vaultd import targets
    from vaultd.config import load
    from vaultd.restic import commands

    config = load(drill.file)
    for target in config.target:
        repository = targets.repository(config, target)
        with contextlib.suppress(VaultdError):  # the next drill clears it away then
            found = asyncio.run(commands.snapshots(repository))
            asyncio.run(commands.forget_all(repository, [one.id for one in found]))
            asyncio.run(commands.prune(repository))


def _tell(cli: Cli, document: dict[str, Any], measured: list[Measured], *, complete: bool) -> int:
    from dataclasses import asdict

    from vaultd.cli.render_evacuation import head, tiers

    cli.emit({"version": 1, **document, "measured": [asdict(one) for one in measured]})
    cli.say(head(document))
    cli.say(tiers(document))
    for one in measured:
        text = (
            _("DRILL, {target}: everything safe after {seconds}")
            if one.what == "tier-safe"
            else _(
                "DRILL, {target}: {files} files brought back and compared in {seconds}, {differences} not as they were"
            )
        )
        cli.say(text.format(
            target=one.target, seconds=duration(one.milliseconds / 1000), files=one.files, differences=one.differences
        ))  # fmt: skip
    if any(one.differences for one in measured):
        return EXIT_DIFFERENCE
    safe = all(one["state"] == "safe" for one in document["tiers"]) and bool(document["tiers"])
    return EXIT_DONE if complete and safe else EXIT_PARTIAL
