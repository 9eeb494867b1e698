"""Where the kernel tells nothing, time does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.mounting import mounted, needs_mounts
from tests.watching import Heard, wait_for
from vaultd.watch import poller
from vaultd.watch.hints import Hint, HintKind
from vaultd.watch.observer import Watcher
from vaultd.watch.poller import Poller, source_for


def test_a_poller_asks_for_a_scan_of_everything_again_and_again(tmp_path: Path) -> None:
    heard = Heard()
    source = Poller(tmp_path, "papers", heard.on_hints, interval=0.01)
    source.start()
    try:
        wait_for(lambda: heard.batches >= 3, "three polls")
        assert set(heard.hints) == {Hint(b"", HintKind.DIRECTORY)}
        assert source.alive()
        assert asyncio.run(source.hears(1))
    finally:
        source.stop()
    assert not source.alive()


def test_slow_scans_are_made_less_often(tmp_path: Path) -> None:
    heard = Heard()
    source = Poller(tmp_path, "papers", heard.on_hints, interval=0.01)
    source.scanned(3600)
    source.start()
    try:
        assert source._pause == pytest.approx(18_000)
        source.scanned(0.001)
        assert source._pause == 0.01
    finally:
        source.stop()  # does not wait for the pause


@pytest.mark.parametrize(("network", "poll", "kind"), [
    (False, None, Watcher), (True, None, Poller), (True, False, Watcher), (False, True, Poller),
])  # fmt: skip
def test_the_source_is_chosen_by_the_file_system_unless_the_vault_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: bool, poll: bool | None, kind: type
) -> None:
    monkeypatch.setattr(poller, "needs_poll", lambda root: network)
    source = source_for(tmp_path, "papers", lambda hints: None, poll=poll)
    assert isinstance(source, kind)


@needs_mounts
def test_a_local_mount_inside_a_vault_is_watched_and_not_polled(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    heard = Heard()
    with mounted(tmp_path / "disk", "-t", "tmpfs", "none"):
        (tmp_path / "disk" / "folder").mkdir()
        source = source_for(tmp_path, "papers", heard.on_hints)
        assert isinstance(source, Watcher)
        source.start()
        try:
            (tmp_path / "disk" / "folder" / "file").touch()
            heard.wait(b"disk/folder/file")
            heard.forget()
            os.system(f"umount -l '{tmp_path}/disk'")
            heard.wait(b"disk", HintKind.DIRECTORY)
            assert source.alive()
        finally:
            source.stop()


@needs_mounts
def test_a_mount_that_appears_is_watched_after_rewatch(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    heard = Heard()
    source = Watcher(tmp_path, "papers", heard.on_hints)
    source.start()
    try:
        with mounted(tmp_path / "disk", "-t", "tmpfs", "none"):
            source.rewatch()
            (tmp_path / "disk" / "file").touch()
            heard.wait(b"disk/file")
    finally:
        source.stop()
