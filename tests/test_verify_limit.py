"""The budget of ``[verify] limit``: as much waiting as the bytes that came are worth, whatever the clock of this
machine does. The server is a real one; the clock is the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from vaultd import fetch
from vaultd.config import Config
from vaultd.demo.offsite import OffsiteServer
from vaultd.restic import process
from vaultd.restic.fetch import Fetch
from vaultd.store import Store
from vaultd.verify import portion

KIB = 1024


@dataclass
class Clock:
    """Stands still but for what is slept, and for ``slow`` seconds between two looks at it."""

    now: float = 1000.0
    slow: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        self.now += self.slow
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(fetch, "time", made)
    return made


@pytest.fixture
def opened(config: Config, offsite: OffsiteServer) -> Iterator[dict[int | None, Fetch]]:
    """The target's files, by the limit in KiB/s."""
    target = config.target[0]
    folder = Path(offsite.root) / target.path
    folder.mkdir(exist_ok=True)
    (folder / "pack").write_bytes(bytes(512 * KIB))
    with ExitStack() as stack:
        yield {limit: stack.enter_context(fetch.of_target(config, target, limit)()) for limit in (None, 100, 4)}


@pytest.mark.parametrize("limit", [100, 4])
def test_what_came_is_waited_for(opened: dict[int | None, Fetch], clock: Clock, limit: int) -> None:
    files = opened[limit]
    assert len(files.get("pack")) == 512 * KIB
    assert clock.slept == [512 / limit]
    assert len(files.part("pack", 100 * KIB, 64 * KIB)) == 64 * KIB
    assert len(files.part("pack", 500 * KIB, 64 * KIB)) == 12 * KIB  # what came, not what was asked for
    assert clock.slept[1:] == [64 / limit, 12 / limit]
    assert files.names("") == ["pack"]
    assert len(clock.slept) == 3


def test_the_time_that_it_took_counts(opened: dict[int | None, Fetch], clock: Clock) -> None:
    clock.slow = 2.0
    opened[100].get("pack")
    assert clock.slept == [pytest.approx(5.12 - 2.0)]
    clock.slow = 6.0
    opened[100].get("pack")
    assert clock.slept[1:] == [0.0]


def test_without_a_limit_nothing_waits(opened: dict[int | None, Fetch], clock: Clock) -> None:
    opened[None].get("pack")
    opened[None].part("pack", 0, 10)
    assert clock.slept == []


def test_restic_has_the_same_limit(config: Config, tmp_path: Path) -> None:
    """What is streamed and not fetched."""
    seen, spy = tmp_path / "seen", tmp_path / "restic"
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {seen}\n')
    spy.chmod(0o755)
    limited = config.model_copy(update={"verify": config.verify.model_copy(update={"limit": 300})})
    store = Store(config.host.state / "state.db")
    try:
        for settings, expected in ((config, None), (limited, 300)):
            repository = portion._repository(settings, store, "offsite")
            assert repository.limit_download == expected
            asyncio.run(process.run(replace(repository, binary=str(spy)), ["snapshots"]))
            words = seen.read_text().splitlines()
            assert ("--limit-download" in words) is (expected is not None)
            if expected is not None:
                assert words[words.index("--limit-download") + 1] == "300"
    finally:
        store.close()
