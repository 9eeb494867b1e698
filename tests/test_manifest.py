"""`vaultd manifest`: a real restore becomes a bag that other programs accept; a changed one is none."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faulting import FaultSite, bare_site
from tests.ledgering import make_log
from tests.mounting import needs_mounts
from vaultd import manifest
from vaultd.bag import arrange, make, names, tags
from vaultd.bag.make import Asked, Made
from vaultd.bag.payload import PayloadDiffersError
from vaultd.errors import BusyError, ConfigError, LedgerError, VaultdError
from vaultd.ledger import create
from vaultd.ledger.events import FileVersion, SnapshotMade

BAGIT = [sys.executable, "-m", "bagit", "--quiet", "--validate"]
SHA256 = ["sha256sum", "-c", "--strict", "--quiet"]
HASHDEEP = ["hashdeep", "-r", "-l", "-a", "-k", "hashdeep.txt", "data"]

CARRIED = [
    b"plain", b"sub/deep/er", b"a,b \"quoted\"'", b" lead", b"-dash", b"--help", b"*", b"~", b"#", b"$(id)", b"a  b",
    b"x /under a space", "中文/病历.ods".encode(), b"e\xcc\x81 decomposed", b"empty", b"same 1", b"same 2", b"_xx/y",
]  # fmt: skip
REFUSED = [
    b"back\\slash", b"new\nline", b"return\r", b"tab\t", b"trailing ", b"%0A", b"100 %", b"\xb2\xa1 GBK", b"\x1b[31m",
    b"nel\xc2\x85", b"line\xe2\x80\xa8separator", b"wide\xe3\x80\x80", b"bad\n/in it", b"_x/000001", b"_x/own",
    b"twice e\xcc\x81",
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultSite]:
    with bare_site(tmp_path) as made:
        yield made


def put(root: Path, name: bytes, content: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(root) + b"/" + name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def nasty(vault: Path) -> None:
    """Every name that was thought of, and all kinds of things."""
    for name in [*CARRIED, *REFUSED]:
        put(vault, name, b"" if name == b"empty" else b"same" if name.startswith(b"same") else name * 3)
    put(vault, "twice é".encode(), b"composed")
    os.link(vault / "plain", vault / "linked")
    os.symlink("plain", vault / "link")
    os.symlink("sub", vault / "link to folder")
    os.symlink("/nowhere", vault / "bad\n" / "dangling")
    os.mkfifo(vault / "fifo")
    (vault / "hollow" / "inner").mkdir(parents=True)
    (vault / "hollow\n").mkdir()


def programs(bag: Path) -> dict[str, bool]:
    """Which of the three programs of others accept a bag."""

    def runs(*command: str) -> bool:
        return subprocess.run(command, cwd=bag, capture_output=True, timeout=60).returncode == 0

    return {
        "bagit": runs(*BAGIT, "."), "sha256sum": runs(*SHA256, "manifest-sha256.txt"), "hashdeep": runs(*HASHDEEP),
        "tags": runs(*SHA256, "tagmanifest-sha256.txt"),
    }  # fmt: skip


ALL = dict.fromkeys(("bagit", "sha256sum", "hashdeep", "tags"), True)


def lines(bag: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (bag / "names.jsonl").read_text("utf-8").splitlines()]


def true_name(line: dict[str, Any], field: str = "path") -> bytes:
    return base64.b64decode(line[f"{field}_b64"]) if f"{field}_b64" in line else str(line[field]).encode()


def contents(bag: Path) -> dict[bytes, bytes]:
    """True name to content of every file of a bag, by names.jsonl."""
    noted = lines(bag) if (bag / "names.jsonl").exists() else []
    there = {one["stored"]: true_name(one) for one in noted if "stored" in one}
    found = {}
    for path in (bag / "data").rglob("*"):
        if path.is_file() and not path.is_symlink():
            name = os.fsencode(path.relative_to(bag))
            true = there[name.decode()] if name.startswith(b"data/_x/") else name.removeprefix(b"data/")
            found[true] = path.read_bytes()
    return found


def restored(site: FaultSite, *args: str, to: Path) -> Path:
    answer = site.cli("restore", "records", "--exact", "--to", str(to), *args)
    assert answer.code == 0, answer
    return to


# a real vault, a real restore


def test_a_restored_vault_becomes_a_bag_that_the_programs_of_others_accept(site: FaultSite, tmp_path: Path) -> None:
    vault = site.add_vault()
    nasty(vault)
    on_disk = {path: (vault / os.fsdecode(path)).read_bytes() for path in site.on_disk()}
    site.prepare()
    site.backup(full=True)
    bag = tmp_path / "bag"
    restored(site, to=bag / "data")
    answer = site.cli("manifest", "records", "--to", str(bag))
    assert answer.code == 0, answer
    (snapshot,) = site.entries("snapshot")
    said = answer.json
    assert said["complete"]
    assert said["manifest"] == snapshot["manifest"]
    assert (said["entry"], said["snapshot"]) == (snapshot["seq"], snapshot["snapshot"])
    assert said["files"] == len(on_disk) == len(list(site.on_disk()))
    assert said["renamed"] == len(REFUSED)
    assert said["noted"] == len(lines(bag))
    assert programs(bag) == ALL
    assert contents(bag) == on_disk
    assert {true_name(one) for one in lines(bag) if one["kind"] == "file"} == set(REFUSED)
    kinds = {true_name(one): one for one in lines(bag) if one["kind"] != "file"}
    assert kinds[b"link"]["target"] == "plain"
    assert kinds[b"link to folder"]["target"] == "sub"
    assert kinds[b"bad\n/dangling"]["target"] == "/nowhere"
    assert kinds[b"fifo"]["kind"] == "fifo"
    assert kinds[b"plain"] == {"path": "plain", "kind": "hard link", "of": "linked"}
    assert {path for path, one in kinds.items() if one["kind"] == "folder"} == {b"hollow/inner", b"hollow\n"}
    assert (bag / "data/hollow/inner").is_dir()
    assert not [path for path in (bag / "data").rglob("*") if path.is_symlink() or path.is_fifo()]
    assert not [path for path in (bag / "data").rglob("*") if path.is_dir() and "\n" in path.name]
    proved(bag, snapshot["manifest"])
    # Made again, from what is there, it is the same.
    before = (bag / "names.jsonl").read_bytes()
    assert site.cli("manifest", "records", "--to", str(bag)).code == 0
    assert (bag / "names.jsonl").read_bytes() == before
    assert programs(bag) == ALL
    (bag / "data/plain").write_text("another")
    assert site.cli("manifest", "records", "--to", str(bag)).code == 4
    site.backup()
    given = site.entries("export")  # twice made is twice given out; the third time it was not
    assert [(one["to"], one["manifest"], one["entry"]) for one in given] == [
        (str(bag), snapshot["manifest"], snapshot["seq"])
    ] * 2
    assert {(one["files"], one["log"], one["who"]) for one in given} == {
        (len(on_disk), snapshot["origin"], f"uid {os.geteuid()}")
    }


def proved(bag: Path, manifest: str) -> None:
    """From the manifest to the entry, to the checkpoint, with a shell: what README.md in the bag says."""
    assert hashlib.sha256((bag / "ledger/manifest").read_bytes()).hexdigest() == manifest
    assert f'"manifest":"{manifest}"' in (bag / "ledger/snapshot.json").read_text()
    files = ["ledger/snapshot.json", "ledger/snapshot.tlog-proof"]
    for key in (["ledger/ledger.vkey"], ["ledger/keys/0", "ledger/keys/root"]):
        done = subprocess.run(["bash", "ledger/SPEC/verify.sh", *files, *key], cwd=bag, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (bag / "ledger/snapshot.tlog-proof").read_bytes().endswith((bag / "ledger/checkpoint").read_bytes())
    (bag / "leaf").write_bytes((bag / "ledger/snapshot.json").read_bytes() + b" ")
    done = subprocess.run(["bash", "ledger/SPEC/verify.sh", "leaf", files[1], "ledger/ledger.vkey"], cwd=bag)
    assert done.returncode == 1
    (bag / "leaf").unlink()


def test_an_older_moment_has_its_own_bag(site: FaultSite, tmp_path: Path) -> None:
    vault = site.add_vault()
    (vault / "stays").write_text("stays")
    (vault / "changes").write_text("old")
    site.prepare()
    site.backup(full=True)
    (vault / "changes").write_text("new and longer")
    (vault / "added").write_text("added")
    (vault / "stays").rename(vault / "moved")
    site.backup(full=True)
    first, second = site.entries("snapshot")
    moment = site.cli("snapshots", "records").json["snapshots"]
    at = sorted(one["time"] for one in moment)[0]
    old = restored(site, "--at", at, to=tmp_path / "old")
    for bag, more, entry in (("then", ["--at", at], first), ("now", [], second)):
        answer = site.cli("manifest", "records", "--to", str(tmp_path / bag), "--from", str(old), *more)
        if bag == "then":
            assert answer.code == 0, answer
            assert answer.json["entry"] == entry["seq"]
            assert programs(tmp_path / bag) == ALL
            assert not (tmp_path / bag / "names.jsonl").exists()
        else:
            assert answer.code == 4
            found = {(one["path"], one["what"]) for one in answer.json["differences"]}
            assert found == {
                ("changes", "changed"), ("added", "missing"), ("moved", "missing"), ("stays", "unknown")
            }  # fmt: skip
            assert not (tmp_path / bag).exists()
    assert contents(tmp_path / "then") == {b"stays": b"stays", b"changes": b"old"}
    assert os.path.samefile(tmp_path / "then/data/stays", old / "stays")
    answer = site.cli("manifest", "records", "--to", str(tmp_path / "x"), "--from", str(old), "--at", "2001-01-01")
    assert answer.json["error"]["code"] == "ledger"


def test_a_ledger_that_continues_another_has_its_files_from_both(site: FaultSite, tmp_path: Path) -> None:
    vault = site.add_vault()
    for number in range(5):
        (vault / str(number)).write_text(str(number))
    config = site.prepare()
    site.backup(full=True)
    previous = create.set_aside(config.ledger_folder, config.ledger_key)
    create.make(config.ledger_folder, config.ledger_key, "ward", previous=previous, reason="test")
    (vault / "3").write_text("changed")
    site.backup(full=True)
    bag = tmp_path / "bag"
    restored(site, to=bag / "data")
    answer = site.cli("manifest", "records", "--to", str(bag))
    assert answer.code == 0, answer
    assert programs(bag) == ALL
    shutil.rmtree(config.ledger_folder.with_name("ledger-1"))
    answer = site.cli("manifest", "records", "--to", str(bag))
    assert answer.code == 4
    assert programs(bag) == ALL


# a ledger without a repository: what can be wrong


class Kept:
    """A ledger that has one full snapshot of a folder."""

    def __init__(self, tmp_path: Path, fill: Callable[[Path], None], *, sm3: bool = False, exceptions: int = 0) -> None:
        self.bag = tmp_path / "bag"
        self.made = make_log(tmp_path / "ledger")
        self.fill = fill
        self.seconds = 1_800_000_000
        sample = tmp_path / "sample"
        sample.mkdir()
        fill(sample)
        self.record(sample, sm3=sm3, exceptions=exceptions)
        shutil.rmtree(sample)

    def record(self, folder: Path, *, sm3: bool = False, exceptions: int = 0) -> None:
        """Another full snapshot, of the files as they are."""
        self.seconds += 60
        change_set = f"{self.seconds}-x"
        top, rows, bodies = os.fsencode(folder), [], list[Any]()
        for above, _folders, there in os.walk(top):
            for name in there:
                path = os.path.join(above, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as stream:
                        content = stream.read()
                    rows.append((os.path.relpath(path, top), hashlib.sha256(content).digest()))
                    other = hashlib.new("sm3", content).digest() if sm3 else None
                    size = len(content)
                    bodies.append(FileVersion("records", rows[-1][0], "bound", change_set, size, 0, rows[-1][1], other))
        log = self.made.open()
        digest = manifest.digest(sorted(rows))
        bodies.append(
            SnapshotMade(
                "records", "offsite", "full", change_set, "ab" * 32, str(self.seconds * 10**9), len(rows), 0, len(rows),
                {"unread": exceptions} if exceptions else {}, "r", digest, log.size,
            )
        )  # fmt: skip
        log.append(bodies)
        log.seal()
        log.close()

    def payload(self, name: str = "data") -> Path:
        folder = self.bag / "data" if name == "data" else self.bag.with_name(name)
        folder.mkdir(parents=True)
        self.fill(folder)
        return folder

    def make(self, source: Path | None = None, before: int | None = None) -> Made:
        return make.make(Asked(self.made.folder, "records", self.bag, source, before), lambda _progress: None)


def plain(folder: Path) -> None:
    for name in (b"one", b"two", b"sub/three", b"50 %"):
        put(folder, name, name * 5)
    os.symlink("one", folder / "link")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path, plain)


def changed(data: Path) -> None:
    (data / "one").write_text("onX" * 5)


def removed(data: Path) -> None:
    (data / "sub/three").unlink()


def added(data: Path) -> None:
    (data / "four").write_text("x")


def renamed(data: Path) -> None:
    (data / "two").rename(data / "zwei")


def moved(data: Path) -> None:
    """A file whose name the formats cannot carry is another one."""
    odd = data / "_x/000001" if (data / "_x").exists() else data / "50 %"
    odd.write_text("another")


@pytest.mark.parametrize("tamper", [changed, removed, added, renamed, moved])
def test_what_was_tampered_with_is_refused(kept: Kept, tamper: Callable[[Path], None]) -> None:
    data = kept.payload()
    tamper(data)
    before = sorted(os.walk(kept.bag))
    with pytest.raises(PayloadDiffersError) as caught:
        kept.make()
    assert caught.value.count == len(caught.value.differences) == (2 if tamper is renamed else 1)
    assert sorted(os.walk(kept.bag)) == before
    shutil.rmtree(kept.bag)
    data = kept.payload()
    kept.make()
    assert programs(kept.bag) == ALL
    tamper(data)
    assert not programs(kept.bag)["bagit"]
    assert not programs(kept.bag)["hashdeep"]
    with pytest.raises(PayloadDiffersError):
        kept.make()
    assert (kept.bag / "bagit.txt").exists()  # it was a bag of what it was made of, and its manifests say so


def test_a_payload_from_another_folder_is_linked_and_that_folder_stays(tmp_path: Path) -> None:
    kept = Kept(tmp_path, nasty)
    source = kept.payload("restored")
    before = sorted(os.walk(source))
    made = kept.make(source)
    assert programs(kept.bag) == ALL
    assert sorted(os.walk(source)) == before
    assert made.renamed == len(REFUSED)
    assert os.path.samefile(source / "plain", kept.bag / "data/plain")
    for path in kept.bag.rglob("*"):  # the manifests are as secret as the files
        if (kept.bag / "data") not in (path, *path.parents):
            assert path.stat().st_mode & 0o077 == 0, path
    there = kept.bag.with_name("in place")
    kept.bag.rename(there)
    kept.payload()
    kept.make()
    assert programs(kept.bag) == ALL
    assert contents(kept.bag) == contents(there)
    assert tree(kept.bag / "data") == tree(there / "data")
    assert without_times(kept.bag) == without_times(there)


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def without_times(bag: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "mtime_ns"} for one in lines(bag)]


@needs_mounts
def test_a_payload_from_another_file_system_is_copied(tmp_path: Path) -> None:
    kept = Kept(tmp_path, nasty)
    source = tmp_path / "disk"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source], check=True)
    try:
        nasty(source)
        os.truncate(source / "empty", 0)
        (source / "sub").chmod(0o750)
        os.chown(source / "sub/deep/er", 1234, 1234)
        kept.make(source)
        assert programs(kept.bag) == ALL
        data = kept.bag / "data"
        assert os.path.samefile(data / "plain", data / "linked")
        assert (data / "sub/deep/er").stat().st_uid == 1234
        assert (data / "sub").stat().st_mode & 0o7777 == 0o750
        assert (data / "plain").stat().st_mtime_ns == (source / "plain").stat().st_mtime_ns
    finally:
        subprocess.run(["umount", source], check=True)


def test_a_file_that_changes_while_it_is_linked_stops_it(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    source = kept.payload("restored")
    build = arrange.build

    def late(*args: Any) -> None:
        (source / "one").write_text("meanwhile")
        build(*args)

    monkeypatch.setattr(arrange, "build", late)
    with pytest.raises(VaultdError, match="changed while"):
        kept.make(source)
    assert not kept.bag.exists()


def test_sm3_is_written_where_it_is_on_record(tmp_path: Path) -> None:
    kept = Kept(tmp_path, plain, sm3=True)
    kept.payload()
    assert kept.make().sm3
    assert programs(kept.bag) == ALL
    sums = (kept.bag / "checksums-sm3.txt").read_text().splitlines()
    assert len(sums) == 4
    for line in sums:
        name = line.removeprefix("SM3 (").partition(") = ")[0]
        shown = subprocess.run(["openssl", "dgst", "-sm3", name], cwd=kept.bag, capture_output=True, text=True).stdout
        assert shown.replace("SM3(", "SM3 (").replace(")= ", ") = ") == f"{line}\n"
    done = subprocess.run(["cksum", "-a", "sm3", "-c", "--strict", "checksums-sm3.txt"], cwd=kept.bag)
    assert done.returncode == 0


def test_a_wrong_sm3_on_record_is_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = hashlib.new
    monkeypatch.setattr(hashlib, "new", lambda name, content=b"": new(name, content + b"!"))
    kept = Kept(tmp_path, plain, sm3=True)
    monkeypatch.undo()
    kept.payload()
    with pytest.raises(PayloadDiffersError) as caught:
        kept.make()
    assert caught.value.count == 4


def test_without_sm3_in_this_python_it_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(tmp_path, plain, sm3=True)
    kept.payload()
    monkeypatch.setattr(hashlib, "algorithms_available", {"sha256"})
    assert kept.make().sm3 is None
    assert not (kept.bag / "checksums-sm3.txt").exists()
    assert programs(kept.bag) == ALL


def test_versions_that_do_not_give_the_manifest_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "digest", lambda _rows: b"x" * 32)
    kept = Kept(tmp_path, plain)
    monkeypatch.undo()
    kept.payload()
    with pytest.raises(VaultdError, match="do not give the manifest") as caught:
        kept.make()
    assert caught.value.exit_code == 4


def test_only_a_folder_of_its_own_is_taken(kept: Kept) -> None:
    source = kept.payload("restored")
    with pytest.raises(ConfigError, match="lies in the other"):
        make.make(Asked(kept.made.folder, "records", source / "bag", source), print)
    with pytest.raises(ConfigError, match="no folder data"):
        kept.make()
    assert not kept.bag.exists()
    with pytest.raises(ConfigError, match="something else"):
        make.make(Asked(kept.made.folder, "records", kept.made.folder.parent, None), print)
    (kept.made.folder.parent / "state/data").mkdir(parents=True)
    shutil.copytree(kept.made.folder, kept.made.folder.parent / "state/ledger")
    with pytest.raises(ConfigError, match="ledger"):  # the state folder: its ledger is not one of ours to replace
        make.make(Asked(kept.made.folder, "records", kept.made.folder.parent / "state", None), print)
    kept.payload()
    with pytest.raises(ConfigError, match="already"):
        kept.make(source)
    (kept.bag / make.WORK).mkdir()
    with make._alone(kept.bag / make.WORK), pytest.raises(BusyError):
        kept.make()
    kept.make()
    with pytest.raises(LedgerError, match="no full snapshot"):
        make.make(Asked(kept.made.folder, "other", kept.bag, None), print)
    assert programs(kept.bag) == ALL


def test_of_several_snapshots_the_moment_decides(kept: Kept) -> None:
    first = kept.seconds * 10**9
    kept.payload("restored")
    data = kept.payload()
    (data / "one").write_text("changed")
    kept.record(data)
    assert kept.make().record.time == first + 60 * 10**9
    shutil.rmtree(kept.bag)
    kept.payload()
    assert kept.make(before=first + 1).record.time == first
    with pytest.raises(LedgerError, match="up to"):
        kept.make(before=first - 1)


def test_a_snapshot_with_unread_files_says_so(tmp_path: Path) -> None:
    kept = Kept(tmp_path, plain, exceptions=2)
    data = kept.payload()
    removed(data)
    with pytest.raises(PayloadDiffersError) as caught:
        kept.make()
    assert "2 paths unread" in caught.value.hint


def test_another_moment_restored_over_a_bag_makes_it_anew(kept: Kept) -> None:
    """The names of before are kept; what is new gets others."""
    data = kept.payload()
    kept.make()
    (data / "one").write_text("changed")
    put(data, b"100 %", b"new")
    sample = kept.bag.with_name("sample")
    plain(sample)
    (sample / "one").write_text("changed")
    put(sample, b"100 %", b"new")
    kept.record(sample)
    made = kept.make()
    assert made.renamed == 2
    stored = {true_name(one): one["stored"] for one in lines(kept.bag) if one["kind"] == "file"}
    assert stored == {b"50 %": "data/_x/000001", b"100 %": "data/_x/000002"}
    assert [true_name(one) for one in lines(kept.bag)] == [b"100 %", b"50 %", b"link"]
    assert programs(kept.bag) == ALL


def test_a_file_that_is_there_twice_is_named(kept: Kept) -> None:
    data = kept.payload()
    kept.make()
    put(data, b"50 %", b"50 %" * 5)
    with pytest.raises(VaultdError, match="twice"):
        kept.make()


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", '{"path": "a", "kind": "file"}', '{"path": "a", "kind": "file", "stored": "data/../../etc"}',
     '{"path": "a", "kind": "file", "stored": "data/_x/x"}', '{"path": 1, "kind": "symlink", "stored": 1}', "\\"],
)  # fmt: skip
def test_a_names_jsonl_that_is_not_ours_is_refused(kept: Kept, line: str) -> None:
    kept.payload()
    kept.make()
    with (kept.bag / "names.jsonl").open("a") as stream:
        stream.write(f"{line}\n")
    with pytest.raises(VaultdError, match="line 3 is not as vaultd writes it"):
        kept.make()


def test_an_unfinished_restore_is_no_payload(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    data = kept.payload()
    work = make.workplace.Workplace(data / ".vaultd-restore-00", {"vault": "records"}, [], False)
    work.path.mkdir()
    work.save()
    with pytest.raises(ConfigError, match="unfinished restore"):
        kept.make()


# interruptions

CRASH = """
import os, signal, sys
from pathlib import Path
from vaultd.bag.make import Asked, make
STEPS, left = {"os.rename", "os.remove", "os.rmdir", "os.link", "os.mkdir"}, int(sys.argv[4])
def step(event, _arguments):
    global left
    if event in STEPS:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
asked = Asked(Path(sys.argv[1]), "records", Path(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3] else None)
sys.addaudithook(step)
make(asked, lambda _progress: None)
print(int(sys.argv[4]) - left)
"""


def crash(kept: Kept, source: Path | None, step: int) -> int:
    """Run it, and kill it before this step; how many there are, when it came to its end."""
    words = [str(kept.made.folder), str(kept.bag), str(source or ""), str(step)]
    done = subprocess.run([sys.executable, "-c", CRASH, *words], capture_output=True, text=True)
    if done.returncode == -signal.SIGKILL:
        return 0
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("how", ["in place", "from another folder", "made before"])
def test_killed_anywhere_it_looks_whole_only_when_it_is_and_goes_on(tmp_path: Path, how: str) -> None:
    kept = Kept(tmp_path, nasty)
    source = kept.payload("restored") if how == "from another folder" else None
    if source is None:
        kept.payload()
    if how == "made before":
        kept.make()
    steps = crash(kept, source, 10**6)
    assert programs(kept.bag) == ALL
    wanted, noted, there = contents(kept.bag), without_times(kept.bag), tree(kept.bag)
    for step in range(1, steps + 1, 1 if os.environ.get("VAULTD_SOAK") else 5):
        if how != "made before":
            shutil.rmtree(kept.bag)
        if how == "in place":
            kept.payload()
        assert not crash(kept, source, step)
        if (kept.bag / "bagit.txt").exists():
            assert programs(kept.bag) == ALL, step  # it was made before, or only the empty work folder is left
        kept.make(source)
        assert (contents(kept.bag), without_times(kept.bag)) == (wanted, noted), step
        assert tree(kept.bag) == there, step
        assert (kept.bag / "bagit.txt").exists(), step
    assert programs(kept.bag) == ALL


def test_a_bag_that_is_made_again_is_none_meanwhile(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.payload()
    kept.make()
    monkeypatch.setattr(tags, "write", lambda *_args, **_more: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        kept.make()
    assert not (kept.bag / "bagit.txt").exists()
    assert not programs(kept.bag)["bagit"]
    monkeypatch.undo()
    kept.make()
    assert programs(kept.bag) == ALL
    assert not (kept.bag / make.WORK).exists()


def test_an_interruption_before_anything_was_moved_leaves_nothing(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    source = kept.payload("restored")
    monkeypatch.setattr(arrange, "_linked", lambda *_args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        kept.make(source)
    assert not kept.bag.exists()


# names


@pytest.mark.parametrize("name", CARRIED)
def test_names_that_are_carried(name: bytes) -> None:
    assert names.carried(name)


@pytest.mark.parametrize("name", REFUSED[:-1])
def test_names_that_are_not(name: bytes) -> None:
    assert not names.carried(name)
