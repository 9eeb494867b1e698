"""Readers of ledgers that nobody here wrote: the Go project's packages note and tlog, and tlog-scales.

tlog-scales is by Florian Larysch, written from the texts of C2SP and RFC 9162, and read with files of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import Checkpoint

CHECKOUT = Path(__file__).parent.parent
SOURCE = CHECKOUT / "tests" / "ledgercheck" / "main.go"
PACKAGES = Path("/usr/share/gocode")


def build(where: Path) -> Path:
    """The Go program, from Debian's packages: without a module proxy, without a network."""
    if shutil.which("go") is None or not (PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip("needs Debian's packages golang-go and golang-golang-x-mod-dev (.ci/setup installs them)")
    program = where / "ledgercheck"
    environment = {
        **os.environ, "GO111MODULE": "off", "GOPATH": str(PACKAGES), "GOFLAGS": "", "GOPROXY": "off",
        "GOTOOLCHAIN": "local", "GOCACHE": str(CHECKOUT / ".tools" / "go-build"), "CGO_ENABLED": "0",
    }  # fmt: skip
    command = ["go", "build", "-buildvcs=false", "-o", str(program), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=where)
    assert done.returncode == 0, done.stderr
    return program


class Refused(Exception):
    """What a reader says is wrong."""


def by_go(program: Path, folder: Path, root: str, stride: int = 1, proofs: Path | None = None) -> dict[str, Any]:
    """What the Go program has checked. Raises Refused."""
    words = [str(program), str(folder), root, str(stride), *([str(proofs)] if proofs else [])]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode == 1 and done.stderr.startswith("ledgercheck: "):
        raise Refused(done.stderr)
    assert (done.returncode, done.stderr) == (0, ""), done
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def by_scales(folder: Path, key: str, stride: int = 1) -> dict[str, Any]:
    """What tlog-scales has checked: signatures, roots, every entry's hash, every ``stride``-th entry's proof (the one
    of any entry needs all hashes of its tile), each checkpoint from all older ones. Raises Refused."""
    try:
        return _by_scales(folder, Vkey.from_string(key), stride)
    except Exception as error:
        raise Refused(repr(error)) from error


def _by_scales(folder: Path, key: Vkey, stride: int) -> dict[str, Any]:
    reader = TilesReader(LocalBackend(folder))
    newest = reader.get_checkpoint()
    newest.verify(key)
    kept = [Checkpoint.from_text(path.read_text("utf-8")) for path in (folder / "checkpoints").iterdir()]
    kept.sort(key=lambda one: one.size)
    if kept[-1] != newest:
        raise Refused("checkpoint is not the newest one")
    for number, one in enumerate(kept):
        one.verify(key)
        if reader.mth(0, one.size) != one.root_hash:
            raise Refused(f"the root of {one.size} is another one")
        for older in kept[:number]:
            reader.get_consistency_proof(older.size, one.size).check(older.root_hash, one.root_hash)
    proved = 0
    for index in range(newest.size):
        entry = leaf_hash(reader.get_entry(index))
        if entry != reader.mth(index, index + 1):
            raise Refused(f"entry {index} has another hash")
        if index % stride == 0 or index == newest.size - 1:
            reader.get_inclusion_proof(index, newest.size).check(entry, newest.root_hash)
            proved += 1
    return {"size": newest.size, "checkpoints": [one.size for one in kept], "record_proofs": proved}


def proofs_for(folder: Path, made: Iterable[tuple[str, bytes, bytes]]) -> Path:
    """A folder of proofs for the Go program: a name, the entry, the proof."""
    folder.mkdir()
    for name, leaf, proof in made:
        (folder / f"{name}.leaf").write_bytes(leaf)
        (folder / f"{name}.tlog-proof").write_bytes(proof)
    return folder
