"""From the watcher's hints to the workers: what is told, and of which time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.site import site_in
from vaultd.protect import intake
from vaultd.protect.intake import Intake
from vaultd.protect.refs import VaultRef
from vaultd.store import Store
from vaultd.watch.hints import Hint, HintKind


@pytest.fixture
def known(tmp_path: Path) -> Iterator[tuple[Store, VaultRef, Path]]:
    with site_in(tmp_path) as site:
        site.add_target()
        folder = site.add_vault()
        (folder / "file").touch()
        store = Store(tmp_path / "state.db")
        yield store, VaultRef.of(store, site.prepare().vault[0]), folder
        store.close()


def test_a_burst_was_heard_before_it_was_written_down(
    known: tuple[Store, VaultRef, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a vault would have to be quiet for as long again as writing takes."""
    store, vault, _folder = known
    told, written = list[tuple[int, float]](), list[float]()
    real = intake.follow

    def follow(*args: Any, **values: Any) -> Any:
        written.append(time.monotonic())
        return real(*args, **values)

    monkeypatch.setattr(intake, "follow", follow)
    monkeypatch.setattr(intake, "CHUNK", 1)
    asked = list[str]()
    takes = Intake(store, vault, lambda number, heard: told.append((number, heard)), lambda: asked.append("scan"))
    before = time.monotonic()
    takes.take([Hint(b"", HintKind.CHANGED), Hint(b"file", HintKind.CHANGED)])
    assert [number for number, _heard in told] == [vault.id] * 2
    assert all(before <= heard <= written[0] for _number, heard in told)
    assert asked == []
