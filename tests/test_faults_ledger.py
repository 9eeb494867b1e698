"""Faults of the ledger with whole daemons: two on one ledger, a target without room for its checkpoints, a clock that
was set back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import bare_site, fault_site
from tests.hostile import HostileSite, hostile_site
from tests.mounting import mounted, needs_mounts
from tests.site import until
from tests.test_faults_clock import SHIFT
from tests.test_publishing import OFTEN, mirror, signed, sizes
from vaultd.ledger.entry import path_of
from vaultd.ledger.verify import verify


def test_of_two_daemons_on_one_ledger_the_second_protects_and_records_later(tmp_path: Path) -> None:
    """Two state folders, each with its own lock, and one ledger below both: the ledger's own lock is what counts."""
    with bare_site(tmp_path) as first, bare_site(tmp_path / "b") as second:
        (first.add_vault() / "one").write_text("1")
        first.prepare()
        (tmp_path / "b/state").mkdir(mode=0o700)
        (second.state / "ledger").symlink_to(first.state / "ledger")
        shutil.copy2(first.state / "ledger.key", second.state / "ledger.key")
        (second.add_vault(path=tmp_path / "b/vault") / "two").write_text("2")
        second.prepare()
        first.start()
        first.wait_protected()
        second.start()
        second.wait_protected()
        assert "another process" in str(second.wait_alert("ledger", target="").detail["error"])
        assert second.owes_ledger()
        assert {path_of(one) for one in first.entries("version")} == {b"one"}
        assert first.alert("ledger", target="") is None
        first.stop()
        second.stop()
        second.start()  # it would look again by itself, every half minute
        second.wait_cleared("ledger", target="")
        until(lambda: not second.owes_ledger(), "what the second one owed is on record")
        second.stop()
        assert {path_of(one) for one in first.entries("version")} == {b"one", b"two"}
        verify(first.state / "ledger")


@needs_mounts
def test_a_target_without_room_for_a_checkpoint_keeps_the_old_ones_and_gets_the_next(tmp_path: Path) -> None:
    """Not a byte and not a name is left where the checkpoints go. Signing goes on, and so does protection."""
    there = tmp_path / "offsite" / ".vaultd"
    there.mkdir(parents=True)
    with mounted(there, "-t", "tmpfs", "-o", "size=16k,nr_inodes=20", "tmpfs"), fault_site(tmp_path) as site:
        try:
            site.file_tail = '[ledger]\ncheckpoint = "500ms"\nanchor_age = "1s"\n'
            site.ready()
            site.start()
            site.wait_protected()
            until(lambda: signed(site).size in sizes(mirror(site)), "a checkpoint is at the target")
            site.stop()  # nothing that is being written makes room again in a moment
            number = 0
            with pytest.raises(OSError, match="No space left"):
                while True:
                    (there / f"filler{number}").write_bytes(b"x" * 4096)
                    number += 1
            before = {path.name: path.read_bytes() for path in mirror(site).iterdir()}
            size = signed(site).size
            site.start()
            (site.folder / "records/new").write_text("new")
            site.wait_protected()
            until(lambda: signed(site).size > size, "signing goes on")
            until(lambda: "is not at offsite" in site.log.read_text(), "it is told")
            site.stop()
            assert {path.name: path.read_bytes() for path in mirror(site).iterdir()} == before, "no half-written one"
            for filler in there.glob("filler*"):
                filler.unlink()
            site.start()
            until(lambda: max(sizes(mirror(site))) > size, "one is there once there is room")
            newest = str(max(sizes(mirror(site))))
            assert (mirror(site) / newest).read_bytes() == (site.state / "ledger/checkpoints" / newest).read_bytes()
        finally:
            site.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[HostileSite]:
    with hostile_site(tmp_path, HostileSite) as made:
        (tmp_path / "python-path" / "sitecustomize.py").write_text(SHIFT)
        yield made


def test_with_a_clock_that_was_set_back_the_ledger_goes_on_and_its_times_stand_still(site: HostileSite) -> None:
    """An hour back while the daemon works, and at its next start: signing and publishing go on, and it verifies."""
    vault = site.add_vault()
    site.file_tail = OFTEN
    site.prepare()
    (vault / "first").write_text("1")
    site.start()
    site.wait_protected()
    shift = site.folder / "python-path" / "shift"
    (shift.with_name("new")).write_text("-3600")
    (shift.with_name("new")).rename(shift)
    for name in ("second", "third"):
        size = signed(site).size
        (vault / name).write_text(name)
        until(lambda name=name: name.encode() in {path_of(one) for one in site.entries("version")}, "it is on record")
        until(lambda size=size: signed(site).size > size, "it is signed")
        until(lambda: signed(site).size in sizes(mirror(site)), "it is published")
        site.stop()
        if name == "second":
            site.start()
    verify(site.state / "ledger")
    entries = site.entries()
    at = {path_of(one): one["t"] for one in entries if one["type"] == "version"}
    assert at[b"second"] == at[b"third"] >= at[b"first"]
    assert at[b"third"] == entries[-1]["t"]
