"""The fast lane for many express snapshots brings the same as restic does, and is left where it does not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.restoring import Stored, hard_to_restore, write
from vaultd.errors import VaultdError
from vaultd.restore import lane
from vaultd.restore.compare import compare
from vaultd.restore.result import Outcome

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/fuse"), reason="a mount needs root and /dev/fuse"),
]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """A full snapshot, then everything that is hard to bring back as an express one, and some more."""
    found = Stored(tmp_path / "s")
    write(found.root / "old", "of the full one")
    found.full()
    hard_to_restore(found.root)
    found.batch(*sorted(one.name for one in found.root.iterdir() if one.name != "device"))
    found.express("device")
    for number in range(3):
        write(found.root / "changing", f"{number}")
        os.utime(found.root, ns=(1_075_781_106_111111111, 1_075_781_106_111111111))
        found.express("changing", "plain.txt", "hard")
    return found


def mounts() -> list[str]:
    """Those of this process."""
    own = f"{lane.PREFIX}{os.getpid()}-"
    return [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if own in line]


def test_it_brings_what_restic_brings(stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.restore(tmp_path / "by restic")
    monkeypatch.setattr(lane, "LEAST", 1)
    taken: list[object] = []
    real = lane.Lane.take

    async def counted(self: lane.Lane, *args: object) -> object:
        taken.append(await real(self, *args))  # type: ignore[arg-type]
        return taken[-1]

    monkeypatch.setattr(lane.Lane, "take", counted)
    result = stored.restore(tmp_path / "by the lane")
    assert result.outcome is Outcome.DONE and [one is None for one in taken] == [False, True, False, False, False]
    assert [str(one) for one in compare(tmp_path / "by restic", tmp_path / "by the lane")] == []
    assert mounts() == [] and not list(Path(tempfile.gettempdir()).glob(f"{lane.PREFIX}{os.getpid()}-*"))


def test_what_it_cannot_copy_is_restored_by_restic(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "LEAST", 1)
    monkeypatch.setattr(lane, "COPY", ("false",))
    assert stored.restore(tmp_path / "out").outcome is Outcome.DONE
    assert (tmp_path / "out" / "changing").read_text() == "2" and mounts() == []


def test_a_mount_that_dies_in_the_middle_is_no_fault(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "LEAST", 1)
    monkeypatch.setattr(lane, "AHEAD", 1)
    real, count = lane.Lane.take, [0]

    async def dying(self: lane.Lane, *args: object) -> object:
        count[0] += 1
        if count[0] == 2:
            assert self._serving is not None
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        return await real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(lane.Lane, "take", dying)
    stored.restore(tmp_path / "out")
    assert count[0] == 5 and (tmp_path / "out" / "changing").read_text() == "2" and mounts() == []


def test_what_a_killed_restore_has_left_is_taken_away(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    left = Path(tempfile.gettempdir()) / f"{lane.PREFIX}{done.pid}-left"
    left.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(left)], check=True)
    lane._take_away_dead()
    assert not left.exists()


def test_one_that_was_stopped_goes_on_and_ends_the_same(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.restore(tmp_path / "by restic")
    monkeypatch.setattr(lane, "LEAST", 1)
    real, count = lane.Lane.take, [0]

    async def stopped(self: lane.Lane, *args: object) -> object:
        count[0] += 1
        if count[0] == 4:
            raise OSError(5, "stopped here", str(tmp_path))
        return await real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(lane.Lane, "take", stopped)
    with pytest.raises(VaultdError, match="stopped here"):
        stored.restore(tmp_path / "out")
    assert mounts() == []
    result = stored.restore(tmp_path / "out")
    assert result.resumed and result.outcome is Outcome.DONE
    assert [str(one) for one in compare(tmp_path / "by restic", tmp_path / "out")] == []
