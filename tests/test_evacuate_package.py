"""Bags to carry: checked by bagit.py, opened by restic where they lie, proved by the shell verifier of the ledger."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pulling import disk, inventory, leaf, mapped
from tests.site import Site, site_in
from vaultd.cli.main import main
from vaultd.errors import NotAuthorisedError
from vaultd.evacuate import export
from vaultd.pull import kept
from vaultd.pull.order import compute

SECRET = "patient of ward 3\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("package")) as made:
        made.add_target()
        records = made.add_vault()
        made.prepare()
        (records / "病历 % 1.txt").write_text(SECRET)
        (records / "b").write_bytes(os.urandom(100_000))
        made.backup(full=True)
        kept.write(made.state, compute(inventory([disk("a", "1")], [mapped("records", leaf("a"))]), [], {}, "ward"))
        yield made


def packed(site: Site, out: Path, capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    words = ["--config", str(site.file), "--json", "evacuate", "package", "--out", str(out), *more]
    assert main(words) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def valid(bag: Path) -> bool:
    """By bagit.py, and by sha256sum."""
    bagit = [sys.executable, "-m", "bagit", "--validate", str(bag)]
    summed = ["sha256sum", "-c", "--strict", "--quiet", "manifest-sha256.txt"]
    return all(
        subprocess.run(words, cwd=bag, capture_output=True).returncode == 0 for words in (bagit, summed)
    )  # fmt: skip


def test_an_encrypted_bag_is_checked_and_opened_by_others(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = tmp_path / "bag"
    found = packed(site, bag, capsys)
    assert valid(bag)
    assert (found["plain"], found["proved"]) == (False, 1) and found["snapshots"] >= 1
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RESTIC_CACHE_DIR": str(tmp_path / "cache")}
    password = str(site.folder / "offsite.password")
    words = ["restic", "--no-lock", "-r", str(bag / "data/repository"), "-p", password]
    newest = site.snapshots(kind="full")[-1]["id"]
    dumped = subprocess.run([*words, "dump", newest, str(site.folder / "records/病历 % 1.txt")], env=environment,
                            check=True, capture_output=True, text=True)  # fmt: skip
    assert dumped.stdout == SECRET
    subprocess.run([*words, "check", "--read-data"], env=environment, check=True, capture_output=True)
    proof = ["bash", "ledger/SPEC/verify.sh", f"ledger/snapshots/{newest}.json",
             f"ledger/snapshots/{newest}.tlog-proof", "ledger/ledger.vkey"]  # fmt: skip
    subprocess.run(proof, cwd=bag, check=True, capture_output=True)
    assert json.loads((bag / "pull-list.json").read_bytes())["disks"][0]["disk"]["key"] == "a"
    for path in bag.rglob("*"):  # nothing in clear: neither content nor names
        if path.is_file():
            raw = path.read_bytes()
            assert SECRET.encode() not in raw and "病历".encode() not in raw, path


def test_a_changed_or_missing_file_is_found(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = tmp_path / "bag"
    packed(site, bag, capsys)
    list_file, pack = bag / "pull-list.json", next((bag / "data/repository/data").rglob("*/*"))
    for path in (list_file, pack):
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        words = [sys.executable, "-m", "bagit", "--validate", str(bag)]
        assert subprocess.run(words, capture_output=True).returncode != 0, path
        path.write_bytes(good)
    assert valid(bag)
    pack.unlink()
    assert not valid(bag)


def test_an_interrupted_one_is_no_bag_and_goes_on(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vaultd.evacuate import package

    bag, real = tmp_path / "bag", package._write_tags

    def die(*_args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(package, "_write_tags", die)
    words = ["--config", str(site.file), "evacuate", "package", "--out", str(bag)]
    assert main(words) != 0
    assert not (bag / "bagit.txt").exists()
    pack = next((bag / "data/repository/data").rglob("*/*"))
    pack.write_bytes(b"half")  # as a crash of the machine may leave it
    monkeypatch.setattr(package, "_write_tags", real)
    packed(site, bag, capsys)
    assert valid(bag) and not (bag / ".vaultd-package").exists()
    assert "a bag already" in packed(site, bag, capsys, code=2)["error"]["why"]


def test_a_folder_with_something_in_it_is_left_alone(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("x")
    packed(site, tmp_path, capsys, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_pack_that_is_not_what_its_name_says_is_no_bag(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = max((site.servers["offsite"].root / "repo/data").rglob("*/*"), key=lambda path: path.stat().st_size)
    good = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        refused = packed(site, tmp_path / "bag", capsys, code=1)
        assert pack.name in refused["error"]["what"] and not (tmp_path / "bag/bagit.txt").exists()
    finally:
        pack.write_bytes(good)


def test_plain_files_need_an_approval_and_are_a_bag(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bag, asked = tmp_path / "bag", list[tuple[str, dict[str, str]]]()

    def refuse(action: str, parameters: dict[str, str]) -> None:
        asked.append((action, parameters))
        raise NotAuthorisedError("no", "no")

    monkeypatch.setattr("vaultd.cli.warning_common.require", lambda _cli, _store: refuse)
    packed(site, bag, capsys, "--plain", "records", code=6)
    assert asked == [(export.ACTION, {"vault": "records", "to": str(bag)})] and not bag.exists()
    monkeypatch.setattr("vaultd.cli.warning_common.require", lambda _cli, _store: lambda _action, _parameters: None)
    found = packed(site, bag, capsys, "--plain", "records")
    assert (found["plain"], found["files"]) == (True, 2) and valid(bag)
    contents = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (bag / "data").rglob("*") if path.is_file()}
    assert hashlib.sha256(SECRET.encode()).hexdigest() in contents
    assert (bag / "pull-list.pdf").exists() and "pull-list.json" in (bag / "tagmanifest-sha256.txt").read_text()
    site.backup()
    assert [one["vault"] for one in site.entries("export")] == ["records"]
