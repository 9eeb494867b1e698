"""The daemon keeps the list fresh: what changes is on record; a disk that is gone is an alert, one let go is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.evacuating import ordered
from tests.mounting import needs_mounts
from tests.pulling import disk, inventory, leaf, mapped, need
from tests.test_pull_release import attached
from vaultd.config import Config
from vaultd.custody import Custody
from vaultd.daemon import disks as daemon
from vaultd.daemon.disks import DiskWatch, heard, signs
from vaultd.disks import kept as kept_disks
from vaultd.disks.model import Disk
from vaultd.ledger import create
from vaultd.ledger.events import PullListChanged
from vaultd.model import FileKind, Stat
from vaultd.pull import kept
from vaultd.pull.model import RELEASED, Need, is_safe
from vaultd.pull.order import compute
from vaultd.store import Store


class Watched:
    """A watch whose machine is what a test says."""

    def __init__(self, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config, self.state = config, config.host.state
        self.state.mkdir(parents=True, exist_ok=True)
        self.store = Store(self.state / "state.db")
        self.custody = Custody(config, self.store)
        self.disks: list[Disk] = []
        self.pending = 0
        self.watch = DiskWatch(config, self.store, self.custody)
        monkeypatch.setattr(DiskWatch, "_make", lambda _watch: self.make())

    async def make(self) -> None:
        top = need(1, *map(leaf, ("a", "b")))
        maps = [mapped("records", top)]
        found = inventory(self.disks, maps)
        kept_disks.keep(self.state, found)
        present = {one.key for one in self.disks}
        made = compute(found, [Need("records", 1, pending_bytes=self.pending)], {}, "ward")
        pulls = tuple(one for one in made.pulls if one.disk.key in present)  # a gone member is on no map any more
        kept.write(self.state, type(made)(made.time, made.host, pulls, made.vaults))

    def once(self, *disks: Disk) -> None:
        self.disks = list(disks)
        asyncio.run(self.watch.once())

    def recorded(self) -> list[tuple[list[str], ...]]:
        """What was left for the ledger, which is not open here: disks, came, went, moved."""
        found = [one.fields for one in self.store.events(100) if one.type == PullListChanged.TYPE]
        return [(one["disks"], one["came"], one["went"], one["moved"]) for one in found]

    def gone(self) -> list[str]:
        return sorted(one.target for one in self.store.alerts.list() if one.code == "disk-gone")


@pytest.fixture
def plain_config(tmp_path: Path) -> Config:
    (tmp_path / "vault").mkdir()
    for name in ("id", "password"):
        (tmp_path / name).write_text("x\n")
    values = {
        "host": {"name": "ward", "state": tmp_path / "state"},
        "target": [{"name": "east", "host": "127.0.0.1", "port": 1, "user": "nobody", "path": "r",
                    "identity": tmp_path / "id", "password_file": tmp_path / "password"}],
        "vault": [{"name": "records", "path": tmp_path / "vault", "classification": "secret", "targets": ["east"]}],
        "file": tmp_path / "vaultd.toml",
    }  # fmt: skip
    return Config.model_validate(values)


@pytest.fixture
def watched(plain_config: Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    found = Watched(plain_config, monkeypatch)
    try:
        yield found
    finally:
        found.custody.close()
        found.store.close()


def test_a_change_is_recorded_once_and_what_is_pending_is_none(watched: Watched) -> None:
    a, b = disk("a", "1"), disk("b", "2")
    watched.once(a, b)
    watched.once(a, b)
    watched.pending = 7
    watched.once(a, b)
    assert watched.recorded() == [(["a", "b"], ["a", "b"], [], [])]
    watched.once(disk("a", "3"), b)
    assert watched.recorded()[1:] == [(["b", "a"], [], [], ["a"])]


def test_a_disk_that_is_gone_is_an_alert_until_it_is_back(watched: Watched) -> None:
    a, b = disk("a", "1"), disk("b", "2")
    watched.once(a, b)
    assert watched.gone() == []
    watched.once(a)
    assert watched.gone() == ["b"]
    (alert,) = [one for one in watched.store.alerts.list() if one.code == "disk-gone"]
    assert alert.detail == {"disk": "ACME M8000 B", "bay": "2", "vaults": "records"}
    assert watched.recorded()[1:] == [(["a"], [], ["b"], [])]
    watched.once(a)
    assert watched.gone() == ["b"]  # nobody has seen it yet
    watched.once(a, b)
    assert watched.gone() == []


def test_it_is_noticed_even_when_the_daemon_did_not_run(watched: Watched) -> None:
    watched.once(disk("a", "1"), disk("b", "2"))
    watched.watch = DiskWatch(watched.config, watched.store, watched.custody)
    watched.once(disk("a", "1"))
    assert watched.gone() == ["b"]


def test_one_that_is_gone_for_good_is_acknowledged(watched: Watched) -> None:
    watched.once(disk("a"), disk("b"))
    watched.once(disk("a"))
    (alert,) = [one for one in watched.store.alerts.list() if one.code == "disk-gone"]
    watched.store.alerts.acknowledge(alert.id, "uid 0")
    watched.once(disk("a"))
    assert watched.gone() == []


def test_one_that_was_let_go_is_no_alert_but_is_again_when_it_was_back(watched: Watched) -> None:
    a, b = disk("a"), disk("b")
    watched.once(a, b)
    watched.store.set_meta(RELEASED + "b", "1")
    watched.once(a)
    assert watched.gone() == []
    watched.once(a, b)
    watched.once(a)
    assert watched.gone() == ["b"]


def test_where_no_list_can_be_made_the_last_one_stays(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched.once(disk("a"), disk("b"))
    before = kept.file_in(watched.state).read_bytes()
    monkeypatch.undo()
    watched.config.file.write_text("not toml [")
    watched.watch = DiskWatch(watched.config, watched.store, watched.custody)
    asyncio.run(watched.watch.once())
    assert "the pull list is not fresh" in caplog.text
    assert kept.file_in(watched.state).read_bytes() == before
    assert watched.gone() == []


def test_the_process_makes_the_list_of_this_machine(plain_config: Config, tmp_path: Path) -> None:
    plain_config.file.write_text(
        f'[host]\nname = "ward"\nstate = "{tmp_path}/state"\n'
        '[[target]]\nname = "east"\nhost = "h"\nuser = "u"\npath = "p"\n'
        f'identity = "{tmp_path}/id"\npassword_file = "{tmp_path}/password"\n'
        f'[[vault]]\nname = "records"\npath = "{tmp_path}/vault"\nclassification = "secret"\ntargets = ["east"]\n'
    )
    create.make(plain_config.ledger_folder, plain_config.ledger_key, "ward")
    store = Store(plain_config.host.state / "state.db")
    custody = Custody(plain_config, store)
    try:
        asyncio.run(DiskWatch(plain_config, store, custody).once())
    finally:
        custody.close()
        store.close()
    found = kept.read(plain_config.host.state)
    assert found is not None and found.host == "ward"
    assert [line.need.vault for line in found.vaults] == ["records", "vaultd-state"]
    for pull in found.pulls:
        assert pull.procedure is not None


# what wakes it


def fake(root: Path, **files: str) -> str:
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return signs(root / "sys", root / "proc")


def test_a_member_lost_a_mount_a_swap_a_new_disk_of_the_old_name_all_show(tmp_path: Path) -> None:
    first = fake(tmp_path, sys__block__md0__md__degraded="0", sys__block__sda__diskseq="1", proc__swaps="",
                 proc__self__mountinfo="")  # fmt: skip
    seen = {
        first,
        fake(tmp_path, sys__block__md0__md__degraded="1"),
        fake(tmp_path, sys__block__sda__diskseq="2"),
        fake(tmp_path, proc__swaps="x"),
        fake(tmp_path, proc__self__mountinfo="y"),
        fake(tmp_path, sys__block__sdb__diskseq="3"),
    }
    assert len(seen) == 6
    assert fake(tmp_path) == fake(tmp_path)


@needs_mounts
def test_the_kernel_tells_of_a_device_that_comes(tmp_path: Path) -> None:
    before = signs()
    other = daemon._monitor()
    with attached(tmp_path / "first.img"):
        assert signs() != before
        if other is None or other.poll(10) is None:
            pytest.skip("the kernel's words do not come here (another network name space)")

    async def go() -> None:
        woken = asyncio.Event()
        with heard(woken.set) as hears:
            assert hears
            with attached(tmp_path / "disk.img"):
                await asyncio.wait_for(woken.wait(), 60)

    asyncio.run(go())


@pytest.mark.parametrize(("least", "made"), [(0.0, 2), (3600.0, 1)])
def test_it_looks_again_when_something_shows_but_not_all_the_time(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, least: float, made: int
) -> None:
    monkeypatch.setattr(daemon, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(daemon, "START_SECONDS", 0.0)
    monkeypatch.setattr(daemon, "LEAST_SECONDS", least)
    shown = iter(["1", "1", "2", "2", "2"])
    looks, ended = list[int](), threading.Event()

    def next_signs() -> str:
        found = next(shown, None)
        if found is None:
            ended.set()
        return found or "2"

    async def once() -> None:
        looks.append(1)

    monkeypatch.setattr(daemon, "signs", next_signs)
    monkeypatch.setattr(watched.watch, "once", once)

    async def go() -> None:
        task = asyncio.create_task(watched.watch.run())
        assert await asyncio.to_thread(ended.wait, 60)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert len(looks) == made


def test_its_process_ends_with_it(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that ends, or has waited long enough, leaves nothing behind."""
    monkeypatch.undo()
    fifo = watched.config.file
    os.mkfifo(fifo)  # the configuration is never read to its end: it hangs
    started, pids = asyncio.Event(), list[int]()
    spawn = asyncio.create_subprocess_exec

    async def spawned(*words: str, **more: Any) -> asyncio.subprocess.Process:
        process = await spawn(*words, **more)
        pids.append(process.pid)
        started.set()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawned)

    async def cancelled() -> None:
        task = asyncio.create_task(watched.watch.once())
        await started.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    monkeypatch.setattr(daemon, "MAKE_SECONDS", 0.2)
    asyncio.run(watched.watch.once())
    assert len(pids) == 2
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


# in an evacuation


def test_in_an_evacuation_the_list_keeps_step_with_what_is_safe(watched: Watched) -> None:
    """From the state database alone: unsafe first, whatever its priority; what is safe says so; who has signed."""
    store, state = watched.store, watched.state
    file = watched.config.file
    tables = [f'[host]\nname = "ward"\nstate = "{state}"\n']
    for name, priority in (("records", 1), ("images", 2)):
        tables.append(f'[[vault]]\nname = "{name}"\npath = "/srv/{name}"\npriority = {priority}\ntargets = ["east"]\n')
    file.write_text("".join(tables))
    found = inventory([disk("a", "1"), disk("b", "2")], [mapped("records", leaf("a")), mapped("images", leaf("b"))])
    kept_disks.keep(state, found)
    kept.write(state, compute(found, [Need("records", 1), Need("images", 2)], {}, "ward"))
    target, vaults = store.target_id("east"), {name: store.vault_id(name) for name in ("records", "images")}
    for number in vaults.values():
        store.set_totals(number, 1, 10, 1)

    def owe(name: str, size: int) -> None:
        store.observe(vaults[name], (target,), [(b"f", Stat(FileKind.FILE, 7, size, 1, 1, 0o600, 0, 0))])

    def order() -> list[tuple[str, int, bool]]:
        made = kept.read(state)
        assert made is not None
        return [(pull.disk.key, pull.pending_bytes, is_safe(pull, made)) for pull in made.pulls]

    ordered(store, "E-2026-001")
    owe("images", 4096)
    assert asyncio.run(watched.watch.keep_step())
    assert order() == [("b", 4096, False), ("a", 0, True)]
    watched.watch._step_at = 0.0
    assert not asyncio.run(watched.watch.keep_step())  # nothing has changed
    owe("records", 10)
    assert not asyncio.run(watched.watch.keep_step())  # not yet again
    watched.watch._step_at = 0.0
    assert asyncio.run(watched.watch.keep_step())
    assert order() == [("a", 10, False), ("b", 4096, False)]
