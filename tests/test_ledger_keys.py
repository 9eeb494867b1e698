"""``vaultd ledger rotate|continue|init``: the root key is never lost, and nothing is signed that must not be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import FaultSite, bare_site
from tests.ledgering import all_entries
from vaultd.cli.main import main
from vaultd.daemon.lock import exclusive
from vaultd.ledger import create, entry, private
from vaultd.ledger.verify import verify


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultSite]:
    """With a ledger whose root key is in the file "root"."""
    with bare_site(tmp_path) as made:
        (made.add_vault() / "one").write_text("1")
        config = made.write()
        root = create.make(config.ledger_folder, config.ledger_key, "ward")
        (tmp_path / "root").write_text(private.as_words(root))
        made.prepare()
        yield made


def ledger(site: FaultSite, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    capsys.readouterr()
    code = main(["--config", str(site.file), "--json", "ledger", *words])
    return code, json.loads(capsys.readouterr().out)


def content(site: FaultSite) -> dict[Path, bytes]:
    found = [*site.state.glob("ledger*/**/*"), *site.state.glob("ledger.key*")]
    return {path: path.read_bytes() for path in found if path.is_file() and path.name != "lock"}


ROTATE, CONTINUE = ("rotate", "--root-key-file"), ("continue", "--reason", "test", "--root-key-file")


@pytest.mark.parametrize("words", [ROTATE, CONTINUE])
def test_while_the_daemon_runs_nothing_is_changed_and_it_is_told_what_to_do(
    site: FaultSite, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    before = content(site)
    with exclusive(site.state):
        code, said = ledger(site, capsys, *words, str(site.folder / ("root" if words is ROTATE else "new")))
    error = said["error"]
    assert isinstance(error, dict)
    assert (code, error["code"], "systemctl stop vaultd" in error["hint"]) == (1, "busy", True)
    assert content(site) == before


def test_a_key_is_changed_with_the_root_key_from_a_file(site: FaultSite, capsys: pytest.CaptureFixture[str]) -> None:
    site.backup(full=True)
    code, said = ledger(site, capsys, *ROTATE, str(site.folder / "root"))
    assert (code, said["epoch"]) == (0, 1)
    (site.folder / "records/two").write_text("2")
    site.backup(full=True)
    assert verify(site.state / "ledger").epochs == 2


@pytest.mark.parametrize("who_knows", ["the state", "a target"])
def test_the_key_of_a_ledger_that_was_set_back_is_not_changed(
    site: FaultSite, capsys: pytest.CaptureFixture[str], who_knows: str
) -> None:
    """To change it is to sign; another history under this name would be there for good."""
    site.backup(full=True)
    shutil.copytree(site.state, site.folder / "older")
    (site.folder / "records/two").write_text("2")
    site.backup(full=True)
    back = "ledger" if who_knows == "the state" else ""
    shutil.rmtree(site.state / back)
    shutil.copytree(site.folder / "older" / back, site.state / back)
    before = content(site)
    code, said = ledger(site, capsys, *ROTATE, str(site.folder / "root"))
    error = said["error"]
    assert isinstance(error, dict)
    expected = {"the state": (1, "ledger-stopped"), "a target": (4, "ledger-shorter")}[who_knows]
    assert (code, error["code"]) == expected
    assert content(site).keys() == before.keys()
    assert all(content(site)[path] == before[path] for path in before if "wal" not in path.parts)


@pytest.mark.parametrize("fault", ["exists", "no-folder"])
@pytest.mark.parametrize("words", [("init", "--root-key-file"), CONTINUE])
def test_a_root_key_that_could_not_be_written_is_not_made(
    site: FaultSite, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], fault: str
) -> None:
    if words[0] == "init":
        shutil.rmtree(site.state / "ledger")
    file = site.folder / ("root" if fault == "exists" else "none/root")
    before, kept = content(site), (site.folder / "root").read_text()
    assert ledger(site, capsys, *words, str(file))[0] == 2
    assert (content(site), (site.folder / "root").read_text()) == (before, kept)


def test_a_root_key_whose_file_fails_at_the_last_moment_is_shown_instead(
    site: FaultSite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vaultd.files.create_exclusive", full, raising=True)
    monkeypatch.setattr("vaultd.ledger.create.create", lambda *_words: None)  # only the medium is full
    shutil.rmtree(site.state / "ledger")
    code, said = ledger(site, capsys, "init", "--root-key-file", str(site.folder / "new"))
    found = said["ledger"]
    assert isinstance(found, dict)
    assert (code, "root_key_file" in found) == (0, False)
    assert private.from_words(found["root_private"], f"{found['origin']}/root").verifier.encoded() == found["root_key"]


def test_a_continued_ledger_keeps_its_root_key_in_the_file(site: FaultSite, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ledger(site, capsys, *CONTINUE, str(site.folder / "new"))
    found = said["ledger"]
    assert isinstance(found, dict)
    assert (code, found["root_key_file"]) == (0, str(site.folder / "new"))
    root = private.from_words((site.folder / "new").read_text(), f"{found['origin']}/root")
    assert root.verifier.encoded() == found["root_key"]
    assert verify(site.state / "ledger", root=root.verifier).epochs == 1
    assert entry.decode(all_entries(site.state / "ledger")[0])["reason"] == "test"
