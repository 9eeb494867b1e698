"""What the tests of verification share: a site whose repositories are damaged and made whole again, and who is to say
which files that costs: restic's index, since the SHA-256 of a small file is the id of its one blob."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faulting import Answer, FaultSite
from vaultd.names import display


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack of data: its file, and its blobs (id, offset, length)."""

    file: Path
    blobs: list[tuple[str, int, int]]


class VerifySite(FaultSite):
    """A site that can verify."""

    def verify(self, *args: str, code: int = 0) -> dict[str, Any]:
        """``vaultd --json verify`` of one vault at one target, from its beginning."""
        (found,) = self.verify_all(*args, "--again", code=code)
        return found

    def verify_all(self, *args: str, code: int = 0) -> list[dict[str, Any]]:
        """``vaultd --json verify``: what it says of each vault at each target."""
        answer: Answer = self.cli("verify", *args)
        assert answer.code == code, (answer.json, answer.stderr)
        found: list[dict[str, Any]] = answer.json["verifications"]
        return found

    def repo(self, target: str = "offsite") -> Path:
        """The repository's folder on the server."""
        return self.servers[target].root / "repo"

    @contextlib.contextmanager
    def spoilt(self, target: str = "offsite") -> Iterator[Path]:
        """The repository, for whatever; it is as it was afterwards."""
        repo, kept = self.repo(target), self.folder / f"kept-{target}"
        shutil.copytree(repo, kept)
        try:
            yield repo
        finally:
            shutil.rmtree(repo)
            kept.rename(repo)

    def packs(self, kind: str = "data", target: str = "offsite") -> list[Pack]:
        """The packs of files' content ("data") or of folders ("tree")."""
        found = []
        for index in self.restic("list", "index", "--no-lock", target=target).decode().split():
            for pack in json.loads(self.restic("cat", "index", index, "--no-lock", target=target))["packs"]:
                if pack["blobs"][0]["type"] == kind:
                    file = self.repo(target) / "data" / pack["id"][:2] / pack["id"]
                    blobs = [(blob["id"], blob["offset"], blob["length"]) for blob in pack["blobs"]]
                    found.append(Pack(file, blobs))
        return found

    def files_of(self, blobs: set[str]) -> set[str]:
        """The vault's files, as they are on this disk, whose content is one of these blobs; "sparse" is of many that
        are one: half a MiB of zeros."""
        found = {display(path) for path, sha256 in self.on_disk().items() if sha256 in blobs}
        return found | ({"sparse"} if hashlib.sha256(bytes(1 << 19)).hexdigest() in blobs else set())


def damaged(result: dict[str, Any], *kinds: str) -> set[str]:
    """The names of files with these results (any difference when there is none)."""
    import base64

    found = set()
    for one in result["differences"]:
        raw = base64.b64decode(one["path_b64"]) if "path_b64" in one else os.fsencode(one["path"])
        if not kinds or one["result"] in kinds:
            found.add(display(raw))
    return found


def overwrite(file: Path, offset: int, change: bytes | None) -> None:
    """Flip a bit at an offset; or cut the file there when ``change`` is None."""
    file.chmod(0o600)
    with file.open("r+b") as stream:
        if change is None:
            stream.truncate(offset)
            return
        stream.seek(offset)
        byte = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([byte[0] ^ change[0]]))


@contextlib.contextmanager
def verify_site(folder: Path) -> Iterator[VerifySite]:
    """A site with a target and an empty vault; taken down whatever happens."""
    made = VerifySite(folder)
    try:
        made.add_target()
        made.add_vault()
        yield made
    finally:
        made.close()
