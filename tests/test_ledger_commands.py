"""``vaultd ledger`` as its user types it: what it shows, proves and refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import FaultSite, bare_site
from tests.ledgermaking import make
from vaultd.cli.main import main
from vaultd.ledger.reading import Reader


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultSite]:
    """Protected twice; what a test changes it puts back."""
    with bare_site(tmp_path_factory.mktemp("site")) as made:
        vault = made.add_vault()
        (vault / "ward").mkdir()
        (vault / "ward/list").write_text("one")
        (vault / "other").write_text("two")
        made.prepare()
        made.backup(full=True)
        (vault / "ward/list").write_text("changed")
        made.backup(full=True)
        yield made


def ledger(site: FaultSite, capsysbinary: pytest.CaptureFixture[bytes], *args: str, code: int = 0) -> bytes:
    capsysbinary.readouterr()
    assert main(["--config", str(site.file), "ledger", *args]) == code
    return capsysbinary.readouterr().out


def test_show_filters_and_prints_lines_as_they_are_on_record(
    site: FaultSite, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    reader = Reader(site.state / "ledger")
    raw = [reader.raw(index) for index in range(reader.size)]
    assert ledger(site, capsysbinary, "show", "--lines", "--last", "1000").splitlines() == raw
    assert ledger(site, capsysbinary, "show", "--lines", "--last", "2").splitlines() == raw[-2:]
    found = ledger(site, capsysbinary, "show", "--lines", "--type", "version", "--path", "ward").splitlines()
    assert [json.loads(one)["path"] for one in found] == ["ward/list"] * 2
    assert (
        len(ledger(site, capsysbinary, "show", "--lines", "--vault", "records", "--type", "snapshot").splitlines()) == 2
    )
    assert ledger(site, capsysbinary, "show", "--lines", "--until", "2020-01-01") == b""
    assert ledger(site, capsysbinary, "show", "--lines", "--since", "2999-01-01") == b""
    assert [
        json.loads(one)["type"] for one in ledger(site, capsysbinary, "show", "--lines", "--who", "uid").splitlines()
    ] == ["configuration"]


def test_prove_finds_the_version_of_a_path_and_the_shell_verifies_it(
    site: FaultSite, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    file = str(site.folder / "records/ward/list")
    ledger(site, capsysbinary, "prove", file, "--to", str(tmp_path / "proof"))
    (leaf,) = (tmp_path / "proof").glob("*.json")
    newest = [one for one in site.entries("version") if one.get("path") == "ward/list"][-1]
    assert json.loads(leaf.read_bytes()) == newest
    paths = [leaf, leaf.with_suffix(".tlog-proof"), tmp_path / "proof/ledger.vkey"]
    done = subprocess.run(["bash", site.state / "ledger/SPEC/verify.sh", *paths], capture_output=True)
    assert done.returncode == 0, done.stderr
    ledger(site, capsysbinary, "prove", file, "--at", "2020-01-01", "--to", str(tmp_path / "none"), code=1)
    ledger(site, capsysbinary, "prove", "/etc/passwd", code=2)
    assert not (tmp_path / "none").exists()


def test_verify_takes_a_checkpoint_from_elsewhere_and_tells_a_changed_bit(
    site: FaultSite, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    kept = tmp_path / "paper"
    kept.write_bytes(ledger(site, capsysbinary, "checkpoint"))
    assert b"holds" in ledger(site, capsysbinary, "verify", "--checkpoint", str(kept), "--targets")
    bundles = (site.state / "ledger/tile/entries").rglob("*.p/*")
    tile = max(bundles, key=lambda path: int(path.name))  # the one that counts; shorter ones may lie beside it
    good = tile.read_bytes()
    tile.write_bytes(good[:40] + bytes([good[40] ^ 1]) + good[41:])
    shown = json.loads(ledger(site, capsysbinary, "verify", "--json", code=4))
    tile.write_bytes(good)
    assert (shown["holds"], shown["finding"]["code"], shown["finding"]["entry"]) == (False, "tile", 0), shown


def test_the_newest_entries_are_shown_without_the_older_ones_being_read(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Of 900 entries all but the newest bundles are gone: nobody misses them."""
    folder = make(tmp_path / "ledger", [1, 900]).path
    for name in ("entries/000", "entries/001", "entries/002", "0/000", "0/001", "0/002"):
        (folder / "tile" / name).unlink()
    capsysbinary.readouterr()
    assert main(["ledger", "show", "--last", "20", "--lines", "--ledger", str(folder)]) == 0
    shown = [json.loads(one)["seq"] for one in capsysbinary.readouterr().out.splitlines()]
    assert shown == list(range(880, 900))
