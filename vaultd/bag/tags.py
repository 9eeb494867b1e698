"""The tag files. They are written in the work folder, and put in place when all of them are whole; bagit.txt is last.

A folder without bagit.txt is no bag to any program: what is left of an interruption never looks whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import vaultd
from vaultd import files, manifest
from vaultd.bag.bench import Bench
from vaultd.bag.record import Record
from vaultd.ledger import epochs, spec
from vaultd.units import rfc3339

BAGIT = "bagit.txt"
NAMES = "names.jsonl"
LEDGER = "ledger"
PROOF = "snapshot.tlog-proof"
TAGS = (
    "bag-info.txt", "checksums-sm3.txt", "hashdeep.txt", LEDGER, "manifest-sha256.txt", NAMES,
    "tagmanifest-sha256.txt",
)  # fmt: skip
"""All but bagit.txt."""

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_FLUSH = 4096


def write(bag: Path, work: Path, bench: Bench, record: Record, *, sm3: bool) -> None:
    """Write all but bagit.txt, in place of what an earlier run has left."""
    shutil.rmtree(work, ignore_errors=True)
    for folder in (work, work / LEDGER, work / LEDGER / "keys"):
        folder.mkdir(mode=0o700)
    put(work / "manifest-sha256.txt", (b"%b  data/%b\n" % (one[1].hex().encode(), one[0]) for one in bench.tagged()))
    put(work / "hashdeep.txt", _hashdeep(bench))
    if sm3:
        put(work / "checksums-sm3.txt", _tagged(bench))
    if bench.one("SELECT EXISTS(SELECT 1 FROM other)"):
        put(work / NAMES, (f"{line}\n".encode() for line in bench.records()))
    put(work / "bag-info.txt", _info(bench, record))
    _ledger(work / LEDGER, bench, record)
    put(work / BAGIT, [DECLARATION])
    put(work / "tagmanifest-sha256.txt", list(tagmanifest(work)))
    (work / BAGIT).unlink()
    files.sync_filesystem(work)
    for name in TAGS:
        _replace(work / name, bag / name)


def declare(bag: Path, work: Path) -> None:
    """Write bagit.txt: now it is a bag. What else is in the work folder goes before, and the folder itself after."""
    for path in work.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    put(work / BAGIT, [DECLARATION])
    files.sync_filesystem(bag)
    (work / BAGIT).rename(bag / BAGIT)
    work.rmdir()
    files.fsync_directory(bag)


def withdraw(bag: Path) -> None:
    """Remove bagit.txt: until it is declared again, this is no bag."""
    (bag / BAGIT).unlink(missing_ok=True)
    files.fsync_directory(bag)


def _replace(new: Path, old: Path) -> None:
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)
    if new.exists():
        new.rename(old)


def put(path: Path, parts: Iterable[bytes]) -> None:
    """Write a new file (0600) from its parts."""
    waiting = list[bytes]()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
        for part in parts:
            waiting.append(part)
            if len(waiting) == _FLUSH:
                stream.write(b"".join(waiting))
                waiting.clear()
        stream.write(b"".join(waiting))


def _hashdeep(bench: Bench) -> Iterator[bytes]:
    yield b"%%%% HASHDEEP-1.0\n%%%% size,sha256,filename\n"
    yield f"## Made by vaultd {vaultd.__version__} from its ledger. Inside the bag:\n".encode()
    yield b"## $ hashdeep -r -l -a -k hashdeep.txt data\n## \n"
    for name, sha256, size, _sm3 in bench.tagged():
        yield b"%d,%b,data/%b\n" % (size, sha256.hex().encode(), name)


def _tagged(bench: Bench) -> Iterator[bytes]:
    for name, _sha256, _size, sm3 in bench.tagged():
        yield b"SM3 (data/%b) = %b\n" % (name, (sm3 or b"").hex().encode())


def _info(bench: Bench, record: Record) -> Iterator[bytes]:
    entry = record.entry
    size, count = bench.db.execute("SELECT coalesce(sum(size), 0), count(*) FROM found").fetchone()
    for name, value in (
        ("Bag-Software-Agent", f"vaultd {vaultd.__version__}"),
        ("Bagging-Date", f"{datetime.fromtimestamp(time.time(), UTC):%Y-%m-%d}"),
        ("External-Description", f"Vault {entry['vault']} as of {rfc3339(record.time)}"),
        ("External-Identifier", f"{entry['origin']} entry {entry['seq']}"),
        ("Internal-Sender-Identifier", f"snapshot {entry['snapshot']}"),
        ("Payload-Oxum", f"{size}.{count}"),
    ):
        yield f"{name}: {value}\n".encode()


def _ledger(folder: Path, bench: Bench, record: Record) -> None:
    """What leads from the manifest to a signed checkpoint."""
    put(folder / "manifest", (manifest.line(path, sha256) for path, sha256 in bench.manifest()))
    keys = epochs.read(record.ledger)
    for name, content in {
        "snapshot.json": record.leaf,
        PROOF: record.proof.encoded(),
        "checkpoint": record.proof.checkpoint,
        "ledger.vkey": f"{keys.at(record.size).key.encoded()}\n".encode(),
        "README.md": resources.files("vaultd.bag").joinpath("README.md").read_bytes(),
    }.items():
        put(folder / name, [content])
    for key in sorted((record.ledger / "keys").iterdir()):
        put(folder / "keys" / key.name, [key.read_bytes()])
    (folder / spec.FOLDER).mkdir(mode=0o700)
    for name, content in spec.texts().items():
        put(folder / spec.FOLDER / name, [content])


def tagmanifest(folder: Path) -> Iterator[bytes]:
    """The lines of ``tagmanifest-sha256.txt`` for what is in a folder."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        yield f"{found}  {path.relative_to(folder)}\n".encode()
