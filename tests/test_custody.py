"""Everything is an entry: what is acknowledged is on record first; what the ledger cannot take is recorded later."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import FaultSite, bare_site
from tests.ledgering import all_entries
from tests.mounting import needs_mounts
from tests.site import Site, until
from vaultd import manifest
from vaultd.config import load
from vaultd.daemon.assembly import assemble
from vaultd.ledger import create, entry, private
from vaultd.ledger.entry import path_of
from vaultd.ledger.events import AlertChanged, Body, TargetTrusted
from vaultd.ledger.log import Log
from vaultd.ledger.verify import verify
from vaultd.protect.ledgercopy import bring_up_to_date


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultSite]:
    with bare_site(tmp_path) as made:
        yield made


def fill(vault: Path, files: int = 30) -> None:
    for number in range(files):
        (vault / f"file {number}").write_bytes(os.urandom(100 + number))


def manifest_of(site: Site, snapshot: dict[str, object]) -> bytes:
    """The manifest of a full snapshot, from the entries alone (docs/ledger.md)."""
    hashes: dict[bytes, bytes] = {}
    for one in site.entries("version"):
        known = int(one["seq"]) < int(str(snapshot["manifest_to"])) or one["change_set"] == snapshot["change_set"]
        if known and one["vault"] == snapshot["vault"]:
            path = path_of(one) or b""
            hashes.pop(path, None)
            if one["state"] != "deleted":
                hashes[path] = bytes.fromhex(str(one["sha256"]))
    return b"".join(manifest.line(path, hashes[path]) for path in sorted(hashes))


def test_versions_come_before_their_snapshot_and_the_manifest_follows_from_them(site: FaultSite) -> None:
    vault = site.add_vault()
    fill(vault)
    Path(os.fsdecode(os.fsencode(vault) + b"/\xc4\xe3 \\ \n")).write_text("GBK")
    site.prepare()
    site.backup(full=True)
    (vault / "file 3").unlink()
    (vault / "file 4").write_text("changed")
    site.backup(full=True)
    entries = site.entries()
    assert [one["seq"] for one in entries] == list(range(len(entries)))
    snapshots = [one for one in entries if one["type"] == "snapshot"]
    assert [one["versions"] for one in snapshots] == [31, 2]
    assert {one["kind"] for one in snapshots} == {"full"}
    for one in snapshots:
        own = [other for other in entries if other["type"] == "version" and other["change_set"] == one["change_set"]]
        assert len(own) == one["versions"]
        assert max(other["seq"] for other in own) < one["seq"]
        assert hashlib.sha256(manifest_of(site, one)).hexdigest() == one["manifest"]
    assert [path_of(one) for one in entries if one.get("state") == "deleted"] == [b"file 3"]
    site.assert_hashes_true()


def test_sm3_stands_beside_sha256_where_it_is_asked_for(site: FaultSite) -> None:
    """Few files in a thread, many in a process: openssl finds the same of each."""
    vault = site.add_vault()
    site.file_tail = '[ledger]\ndigests = ["sha256", "sm3"]\n'
    fill(vault, 3)
    site.prepare()
    site.backup(full=True)
    fill(vault, 80)
    site.backup(full=True)
    versions = site.entries("version")
    assert len(versions) == 83
    now = {path_of(one): one for one in versions}
    for path, one in now.items():
        file = os.fsencode(vault) + b"/" + (path or b"")
        shown = subprocess.run(["openssl", "dgst", "-sm3", "-r", file], capture_output=True, check=True).stdout
        assert shown.split()[0].decode() == one["sm3"]
    site.assert_hashes_true()


def test_coreutils_reads_the_manifest(site: FaultSite, tmp_path: Path) -> None:
    vault = site.add_vault()
    for name in (b"plain", b"back\\slash", b"new\nline", b"return\r", b"\xb2\xa1", b"-dash", b" space "):
        Path(os.fsdecode(os.fsencode(vault) + b"/" + name)).write_bytes(name)
    site.prepare()
    site.backup(full=True)
    (tmp_path / "sums").write_bytes(manifest_of(site, site.entries("snapshot")[0]))
    done = subprocess.run(["sha256sum", "-c", "--strict", tmp_path / "sums"], cwd=vault, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"OK") == 7


def test_start_stop_configuration_and_alerts_are_entries(site: FaultSite) -> None:
    vault = site.add_vault()
    fill(vault)
    site.prepare()
    site.start()
    site.wait_protected()
    site.servers["offsite"].stop()
    (vault / "new").write_text("x")
    site.wait_alert("target-unreachable")
    site.servers["offsite"].start()
    site.cli("target", "check")  # and the daemon comes round by itself
    site.wait_cleared("target-unreachable")
    site.stop()
    kinds = [(one["type"], one.get("state")) for one in site.entries() if one["type"] not in ("version", "checkpoint")]
    assert kinds[0] == ("begin", None)
    assert kinds.count(("daemon", "started")) == kinds.count(("daemon", "stopped")) == 1
    assert kinds[-1] == ("daemon", "stopped")
    assert ("alert", "raised") in kinds
    assert ("alert", "cleared") in kinds
    assert ("run", "failed") in kinds or site.entries("alert")[0]["code"] == "target-unreachable"
    (loaded,) = site.entries("configuration")
    assert loaded["digest"] == hashlib.sha256(site.file.read_bytes()).hexdigest()
    site.write()
    site.file.write_text(site.file.read_text() + "# another\n")
    site.backup()
    assert len(site.entries("configuration")) == 2


def test_stopping_signs_everything(site: FaultSite) -> None:
    fill(site.add_vault())
    site.file_tail = '[ledger]\ncheckpoint = "1s"\n'
    site.prepare()
    site.start()
    site.wait_protected()
    until(lambda: (site.status()["ledger"]["size"] or 0) > 1, "it has begun to sign")
    site.stop()
    size = len(all_entries(site.state / "ledger"))
    assert (site.state / "ledger/checkpoints" / str(size)).exists()


FAULTS = ["missing", "key-missing", "damaged", "older", "busy"]
ALSO = [pytest.param(fault, marks=pytest.mark.soak) for fault in ("key-mode", "key-other", "other-host", "newer")]


@pytest.mark.parametrize("fault", [*FAULTS, *ALSO])
def test_without_its_ledger_protection_goes_on_and_is_recorded_later(
    site: FaultSite, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault stands before the daemon starts; what happens meanwhile is on record once it is mended."""
    vault = site.add_vault()
    fill(vault, 5)
    config = site.prepare()
    folder, key, kept = config.ledger_folder, config.ledger_key, site.folder / "kept"
    older = site.folder / "older"
    if fault == "older":
        site.backup(full=True)
        shutil.copytree(folder, older)
        fill(vault, 6)
    site.backup(full=True)
    shutil.copytree(folder, kept)
    encoded = key.read_bytes()
    if fault == "missing":
        shutil.rmtree(folder)
    elif fault == "key-missing":
        key.unlink()
    elif fault == "key-mode":
        key.chmod(0o644)
    elif fault == "key-other":
        key.unlink()
        create.private.write_new(key, "x")
    elif fault == "other-host":
        shutil.rmtree(folder)
        key.unlink()
        create.make(folder, key, "another")
    elif fault == "newer":
        shutil.rmtree(folder)
        monkeypatch.setattr(entry, "VERSION", 2)
        create.make(folder, key, "ward")
        monkeypatch.undo()
    elif fault == "busy":
        held = Log(folder, private.read(key, verify(folder).origin))
    elif fault == "damaged":
        (folder / "tile/entries/000.p").rename(folder / "tile/entries/gone")
    else:
        shutil.rmtree(folder)
        shutil.copytree(older, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    (vault / "meanwhile").write_text("written while the ledger was out of order")
    site.start()
    site.wait_protected()
    code = {"missing": "ledger-missing", "older": "ledger-stopped"}.get(fault, "ledger")
    alert = site.wait_alert(code, target="")
    assert fault != "newer" or "version 2" in str(alert.detail["error"])
    assert fault != "busy" or "another process" in str(alert.detail["error"])
    assert code in {one["code"] for one in site.status()["alerts"]}
    findings = {one["level"] for one in site.cli("doctor", "--offline").json["findings"] if one["subject"] == "ledger"}
    assert findings == {"fine" if fault in ("busy", "older") else "fault"}
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    assert after == before
    site.stop()
    if fault == "busy":
        held.close()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept, folder)
    key.unlink(missing_ok=True)
    key.write_bytes(encoded)
    key.chmod(0o600)
    size = len(all_entries(folder))
    site.start()
    site.wait_cleared(code, target="")
    until(lambda: not site.owes_ledger(), "everything is on record")
    site.stop()
    late = [one for one in site.entries() if one["seq"] >= size]
    assert [path_of(one) for one in late if one["type"] == "version"] == [b"meanwhile"]
    assert all("at" in one for one in late if one["type"] in ("version", "snapshot") and one["seq"] < size + 20)
    assert ("daemon", "stopped") in {(one["type"], one.get("state")) for one in late}
    site.assert_hashes_true()


@needs_mounts
def test_a_ledger_on_a_disk_that_was_mounted_read_only(site: FaultSite) -> None:
    vault = site.add_vault()
    fill(vault, 5)
    folder = site.prepare().ledger_folder
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        site.start()
        site.wait_protected()
        site.wait_alert("ledger", target="")
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        site.stop()
    finally:
        subprocess.run(["umount", folder], check=True)
    site.start()
    site.wait_cleared("ledger", target="")
    site.assert_hashes_true()


def test_an_event_too_large_for_an_entry_names_a_file_that_has_it(site: FaultSite) -> None:
    site.add_vault()
    config = site.prepare()
    with assemble(config, lambda _progress: None) as assembly:
        for length in (1000, 70_000):
            assembly.context.custody.note(TargetTrusted("offsite", ["SHA256:x"] * (length // 10), "somebody \udcff"))
    small, large = site.entries()[-2:]
    assert (small["type"], large["type"]) == ("target-trusted", "document")
    assert small["who"] == "somebody \\udcff"
    kept = (site.state / "documents" / f"{large['digest']}.json").read_bytes()
    assert (len(kept), hashlib.sha256(kept).hexdigest()) == (large["size"], large["digest"])
    assert len(json.loads(kept)["fingerprints"]) == 7000
    verify(site.state / "ledger")


def test_a_ledger_that_fails_in_the_middle_is_taken_up_again(site: FaultSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while entries are written: the snapshot is acknowledged, its entries come later, each once."""
    vault = site.add_vault()
    fill(vault)
    site.prepare()
    calls = iter([True] * 2)
    written = create.Log.append

    def fails(self: create.Log, bodies: object) -> int:
        if any(getattr(body, "TYPE", "") == "snapshot" for body in bodies) and next(calls, False):  # type: ignore[attr-defined]
            raise create.LedgerError("the disk has gone")
        return written(self, bodies)  # type: ignore[arg-type]

    monkeypatch.setattr(create.Log, "append", fails)
    (outcome,) = site.backup(full=True)
    assert outcome.error is None
    assert site.owes_ledger()
    assert "ledger" in site.alerts()
    monkeypatch.undo()
    site.backup()
    assert not site.owes_ledger()
    assert "ledger" not in site.alerts()
    paths = [path_of(one) for one in site.entries("version")]
    assert len(paths) == len(set(paths)) == 30
    site.assert_hashes_true()


@needs_mounts
def test_a_full_disk_of_the_ledger_holds_up_nothing(site: FaultSite) -> None:
    vault = site.add_vault()
    fill(vault, 5)
    config = site.prepare()
    site.backup(full=True)
    folder = config.ledger_folder
    kept = site.folder / "kept"
    folder.rename(kept)
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=768k,mode=700", "tmpfs", folder], check=True)
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        filler = folder / "wal" / "filler"
        site.start()
        site.wait_protected()
        with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as stream:
            while True:
                stream.write(b"x" * 4096)
        fill(vault, 40)
        site.wait_protected()
        site.wait_alert("ledger", target="")
        filler.unlink()
        site.wait_cleared("ledger", target="")
        until(lambda: not site.owes_ledger(), "everything is on record")
        site.stop()
        site.assert_hashes_true()
        assert [entry.decode(one)["seq"] for one in all_entries(folder)] == list(range(len(all_entries(folder))))
    finally:
        if site.daemon is not None:
            site.kill()
        subprocess.run(["umount", folder], check=True)


def test_other_events_come_before_and_after_the_versions_of_a_snapshot(
    site: FaultSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large snapshot goes on record as one block, written page by page: each version knows its own place."""
    fill(site.add_vault())
    site.prepare()
    monkeypatch.setattr("vaultd.ledger.wal._PAGE", 7)
    written = create.Log.append

    def append(self: create.Log, bodies: list[Body]) -> int:
        many = len(bodies) > 20
        for _before in range(3 * many):
            written(self, [AlertChanged("overdue", "raised")])
        first = written(self, bodies)
        for _after in range(2 * many):
            written(self, [AlertChanged("overdue", "raised")])
        return first

    monkeypatch.setattr(create.Log, "append", append)
    site.backup(full=True)
    assert not site.owes_ledger()
    entries = site.entries()
    assert len([one for one in entries if one.get("code") == "overdue"]) == 5
    store = site.store()
    for number in range(30):
        found = store.latest_version(store.vault_id("records"), b"file %d" % number)
        assert found is not None
        assert path_of(entries[found[0]]) == b"file %d" % number
    store.close()
    site.assert_hashes_true()


def test_what_a_crash_takes_from_the_state_is_in_the_ledger_and_runs_again(site: FaultSite) -> None:
    """The record is ahead of its acknowledgement, as after a crash between the two: nothing true is lost."""
    vault = site.add_vault()
    fill(vault)
    site.prepare()
    site.backup(full=True)
    kept = site.folder / "state.db"
    shutil.copy(site.state / "state.db", kept)
    (vault / "file 1").write_text("changed")
    site.backup(full=True)
    size = len(site.entries())
    for path in site.state.glob("state.db*"):
        path.unlink()
    shutil.copy(kept, site.state / "state.db")
    site.backup(full=True)
    assert len(site.entries()) > size
    again = [one for one in site.entries("version") if path_of(one) == b"file 1"]
    assert len(again) == 3
    assert again[1]["sha256"] == again[2]["sha256"]
    assert load(site.file).ledger_folder.exists()
    site.assert_hashes_true()


def test_the_copy_of_the_state_has_a_ledger_that_holds(site: FaultSite) -> None:
    """What is off-site under the name vaultd-state is enough to go on with the ledger, but for the key."""
    vault = site.add_vault()
    fill(vault, 300)
    site.prepare()
    site.start()
    site.wait_quiet()
    copy = site.state / "copy" / "ledger"
    verify(copy)
    fill(vault, 310)
    site.wait_protected()
    site.stop()
    bring_up_to_date(site.state / "ledger", copy)
    report = verify(copy)
    assert report.size == verify(site.state / "ledger").size
    assert not (copy / "lock").exists()
    assert not list(copy.parent.rglob("*.key"))
    held = json.loads(site.restic("snapshots", "--json", "--tag", "vault=vaultd-state"))[-1]
    assert b"/copy/ledger/checkpoint" in site.restic("ls", held["id"])
