"""Checkpoints leave the host: mirrors at every target, and what follows when somebody has seen another ledger."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import FaultSite
from tests.site import until
from tests.stamping import Authority, stamping
from vaultd.anchor.place import escaped
from vaultd.cli.main import main
from vaultd.ledger import checkpoint, create, epochs, note
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.verify import verify

OFTEN = '[ledger]\ncheckpoint = "500ms"\n'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultSite]:
    made = FaultSite(tmp_path)
    made.file_tail = OFTEN
    try:
        made.add_target()
        made.add_vault()
        yield made
    finally:
        made.close()


def mirror(site: FaultSite, target: str = "offsite") -> Path:
    """Where a target's server has the checkpoints."""
    origin = epochs.read(site.state / "ledger").origin
    return site.servers[target].root / ".vaultd" / "checkpoints" / escaped(origin)


def signed(site: FaultSite) -> Checkpoint:
    return checkpoint.parse(note.parse((site.state / "ledger/checkpoint").read_bytes()).text)


def sizes(folder: Path) -> set[int]:
    """Those that are there; a name that begins with a dot is one that is being written."""
    return {int(path.name) for path in folder.iterdir() if path.name[0] != "."} if folder.is_dir() else set()


def change(site: FaultSite, name: str) -> None:
    (site.folder / "records" / name).write_text(f"content of {name}")
    until(lambda: site.at()["pending_files"] or (site.at()["owed"] == 0), "it is seen")
    site.wait_protected()


def test_what_is_signed_is_at_every_target_and_status_says_so(site: FaultSite) -> None:
    site.add_target("west")
    site.vaults["records"]["targets"] = ["offsite", "west"]
    site.ready()
    (site.folder / "records/first").write_text("x")
    site.start()
    site.wait_protected()
    for target in ("offsite", "west"):
        until(lambda target=target: signed(site).size in sizes(mirror(site, target)), f"it is at {target}")
        kept = (mirror(site, target) / str(signed(site).size)).read_bytes()
        assert kept == (site.state / "ledger/checkpoint").read_bytes()
    until(lambda: len(site.status()["ledger"]["anchors"]) == 2, "both are in the status")
    shown = site.status()["ledger"]
    assert (shown["state"], shown["unrecorded"]) == ("ok", 0)
    assert {(one["kind"], one["name"], one["overdue"]) for one in shown["anchors"]} == {
        ("mirror", "offsite", False), ("mirror", "west", False),
    }  # fmt: skip


def test_a_target_that_is_away_holds_up_neither_record_nor_the_other_target(site: FaultSite) -> None:
    site.add_target("west")
    site.vaults["records"]["targets"] = ["offsite", "west"]
    site.ready()
    site.servers["west"].stop()
    site.start()
    change(site, "one")
    until(lambda: signed(site).size in sizes(mirror(site)), "it is at the target that is there")
    assert not mirror(site, "west").exists()


def test_a_whole_state_set_back_signs_nothing_and_is_continued_when_told_to(site: FaultSite) -> None:
    """State and ledger of yesterday are back together: only the mirror knows better."""
    site.ready()
    site.start()
    change(site, "one")
    site.stop()
    kept = site.folder / "yesterday"
    shutil.copytree(site.state, kept, ignore=shutil.ignore_patterns("*.sock"))
    before = signed(site).size
    site.start()
    change(site, "two")
    until(lambda: max(sizes(mirror(site))) > before, "what is new is at the target")
    site.stop()
    seen = max(sizes(mirror(site)))
    shutil.rmtree(site.state)
    shutil.copytree(kept, site.state)
    old = signed(site)
    assert old.size < seen
    site.start()
    site.wait_alert("ledger-stopped", target="")
    site.wait_alert("ledger-inconsistent")
    change(site, "three")
    assert signed(site) == old
    assert site.status()["ledger"]["state"] == "stopped"
    site.stop()
    site.start()  # it is not forgotten
    site.wait_alert("ledger-stopped", target="")
    site.stop()
    assert signed(site) == old
    assert main(["--config", str(site.file), "ledger", "continue", "--reason", "set back"]) == 0
    site.start()
    site.wait_cleared("ledger-stopped", target="")
    until(lambda: site.status()["ledger"]["unrecorded"] == 0, "what was owed is on record")
    site.stop()
    first = site.entries()[0]
    assert first["reason"] == "set back"
    assert checkpoint.parse(note.parse(first["previous"].encode()).text) == old
    assert verify(site.state / "ledger").origin == first["origin"] != old.origin
    assert b"three" in {str(one.get("path")).encode() for one in site.entries("version")}
    site.assert_restorable()  # the older entries are in the old ledger, beside


def test_a_checkpoint_that_anybody_may_have_put_there_is_an_alert_and_no_reason_to_stop(site: FaultSite) -> None:
    site.ready()
    site.start()
    change(site, "one")
    until(lambda: sizes(mirror(site)), "a checkpoint is at the target")
    root = create.private.generate("x/root")
    text = Checkpoint(epochs.read(site.state / "ledger").origin, 999_999, b"r" * 32).text()
    forged = note.Note(text, (create.SignerKey(text.split("\n", 1)[0], root.private).sign(text),)).encoded()
    (mirror(site) / "999999").write_bytes(forged)
    before = signed(site).size
    change(site, "two")
    site.wait_alert("ledger-inconsistent")
    until(lambda: signed(site).size > before, "signing goes on")
    assert (mirror(site) / "999999").read_bytes() == forged
    (mirror(site) / "999999").unlink()
    change(site, "three")
    site.wait_cleared("ledger-inconsistent")


def test_a_witness_that_does_not_answer_is_an_alert_after_its_time(site: FaultSite) -> None:
    vkey = note.VerifierKey("witness.example/w1", create.private.generate("w").verifier.public, note.COSIGNATURE)
    site.file_tail = (
        '[ledger]\ncheckpoint = "500ms"\nanchor_age = "1s"\n[[ledger.witness]]\nname = "archive"\n'
        f'url = "http://127.0.0.1:9/add"\nkey = "{vkey.encoded()}"\n'
    )
    site.ready()
    site.start()
    change(site, "one")
    alert = until(lambda: site.alert("anchor-overdue", target="archive"), "the alert")
    assert alert.detail["kind"] == "witness"
    (shown,) = [one for one in site.status()["ledger"]["anchors"] if one["kind"] == "witness"]
    assert (shown["at"], shown["overdue"]) == (None, True)
    change(site, "two")  # it holds up nothing


def test_an_authority_is_asked_more_seldom_than_is_signed(site: FaultSite, tmp_path: Path) -> None:
    """Every stamp is somebody's work and a file for ever; the next one covers all before it."""
    authority = Authority(tmp_path / "tsa")
    with stamping(authority.answer) as server:
        site.file_tail = f'{OFTEN}[[ledger.timestamp]]\nname = "tsa"\nurl = "{server.url}"\nca = "{authority.root}"\n'
        site.ready()
        site.start()
        for name in ("one", "two", "three"):
            size = signed(site).size
            change(site, name)
            until(lambda size=size: max(sizes(mirror(site)), default=0) > size, "it is signed and published")
        until(lambda: server.asked, "it is stamped")
        site.stop()
        assert len(server.asked) == 1
    assert len(list((site.state / "ledger/anchors/timestamp/tsa").iterdir())) == 1
    (config,) = site.write().ledger.timestamp
    assert config.every == 3600


def test_who_holds_the_off_site_store_alone_learns_no_name_no_hash_and_no_content(site: FaultSite) -> None:
    """Checkpoints are all that is readable there: the log's name, a size, a hash of hashes."""
    vault = site.ready()
    name, content = "病案-Zhang-2024", b"diagnosis: secret " * 20
    (vault / name).write_bytes(content)
    digest = hashlib.sha256(content).digest()
    site.start()
    site.wait_protected()
    until(lambda: signed(site).size in sizes(mirror(site)) and signed(site).size > 1, "it is published")
    site.stop()
    assert digest.hex() in {one["sha256"] for one in site.entries("version")}
    (snapshot,) = site.entries("snapshot")
    hidden = [
        name.encode(), os.fsencode(vault), content[:18], digest, digest.hex().encode(), base64.b64encode(digest),
        str(snapshot["manifest"]).encode(), b"records",
    ]  # fmt: skip
    root = site.servers["offsite"].root
    files = [path for path in root.rglob("*") if path.is_file()]
    kinds = {path.relative_to(root).parts[1] for path in files if path.relative_to(root).parts[0] == "repo"}
    assert kinds == {"config", "data", "index", "keys", "snapshots"}
    for path in files:
        seen = os.fsencode(path.relative_to(root)) + path.read_bytes()
        assert [one for one in hidden if one in seen] == [], path
    readable = {path.parent for path in files if path.relative_to(root).parts[0] != "repo"}
    assert readable == {mirror(site)}
