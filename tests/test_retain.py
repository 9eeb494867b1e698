"""``vaultd forget`` with real parts: what goes, what stays, what is refused, what is on record."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.site import Site, site_in, until
from tests.verifying import overwrite
from vaultd import targets
from vaultd.config import load
from vaultd.daemon.assembly import at_work
from vaultd.daemon.lock import exclusive
from vaultd.daemon.retention import Retention
from vaultd.errors import VaultdError
from vaultd.ledger.events import Body, Forgotten, Pruned
from vaultd.restic import commands
from vaultd.retain import forget
from vaultd.retain.place import Place
from vaultd.store import Store

NOTHING = {"keep_within": 0, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0, "express": 0}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as site:
        site.add_target()
        site.add_vault()
        site.vaults["records"]["retention"] = dict(NOTHING)
        yield site


def command(site: Site, *args: str, code: int = 0, file: Path | None = None) -> dict[str, Any]:
    """Run vaultd; its JSON."""
    found = warm.run(["--config", str(file or site.file), "--json", *args])
    assert found.returncode == code, (found.returncode, found.stdout[-3000:], found.stderr[-3000:])
    document: dict[str, Any] = json.loads(found.stdout)
    return document


def three_moments(site: Site) -> Path:
    """A vault with three full snapshots; the second alone has the file ``gone``."""
    site.prepare()
    root = Path(site.vaults["records"]["path"])
    (root / "stays").write_text("stays")
    site.backup(full=True)
    (root / "gone").write_text("in the second only")
    (root / "stays").write_text("stays 2")
    site.backup(full=True)
    (root / "gone").unlink()
    site.backup(full=True)
    return root


def test_what_the_policy_does_not_keep_goes_by_id_and_is_on_record(site: Site) -> None:
    root = three_moments(site)
    before = site.snapshots(kind="full")
    shown = command(site, "forget", "records")
    (target,) = shown["targets"]
    assert shown["applied"] is False and site.snapshots(kind="full") == before
    assert [one["id"] for one in target["going"]] == [one["id"] for one in before[:2]]
    assert {one["why"] for one in target["going"]} == {"policy"}
    done = command(site, "forget", "records", "--yes", "--prune")["targets"][0]["done"]
    assert done["forgotten"] == [one["id"] for one in before[:2]] and done["left"] == []
    assert done["check"]["good"] is True and done["freed"] > 0
    assert site.snapshots(kind="full") == before[2:]
    site.assert_restorable()
    # The state knows it, nothing is missed, and the next backup goes on as always.
    store = site.store()
    try:
        assert store.forgotten(store.target_id("offsite")) == set(done["forgotten"])
    finally:
        store.close()
    (root / "stays").write_text("stays 3")
    site.backup(full=True)
    assert "snapshots-missing" not in site.alerts()
    (entry,) = site.entries("forget")
    assert entry["snapshots"] == done["forgotten"] and len(entry["policy"]) == 64 and entry["who"].startswith("uid ")
    (pruned,) = site.entries("prune")
    assert pruned["check"] == "ok" and pruned["freed"] == done["freed"]


def test_nothing_is_forgotten_while_a_mass_change_stands(site: Site) -> None:
    three_moments(site)
    store = Store(site.state / "state.db")
    store.alerts.raise_("mass-change", vault="records", detail={"changed": 300, "files": 400, "share": 0.75})
    store.close()
    error = command(site, "forget", "records", "--yes", code=1)["error"]
    assert "mass change" in error["why"] and len(site.snapshots(kind="full")) == 3
    error = command(site, "forget", "records", "--path", "gone", "--reason", "x", "--yes", code=1)["error"]
    assert "mass change" in error["why"] and len(site.snapshots(kind="full")) == 3


def in_this_process(site: Site, recorded: list[Body]) -> Place:
    """The vault at its target, as the command line has it: so that a test can step in between two steps."""
    config = load(site.file)
    (target,), (vault,) = config.target, config.vault
    return Place(
        config, target, targets.repository(config, target), config.host.name, "records", os.fsencode(vault.path),
        vault.retention, "uid 7", recorded.append, Store(site.state / "state.db"), config.ledger_folder,
    )  # fmt: skip


def alarm(site: Site) -> None:
    store = Store(site.state / "state.db")
    store.alerts.raise_("mass-change", vault="records", detail={"changed": 300, "files": 400, "share": 0.75})
    store.close()


@pytest.mark.parametrize("after", ["the first was removed", "the check"])
def test_it_breaks_off_when_the_alert_opens_meanwhile(site: Site, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    three_moments(site)
    before, recorded = site.snapshots(kind="full"), list[Body]()
    packs = {one.name for one in (site.servers["offsite"].root / "repo" / "data").rglob("*") if one.is_file()}
    name = "forget_all" if after == "the first was removed" else "check"
    real = getattr(commands, name)

    async def stepped(*args: Any, **more: Any) -> Any:
        found = await real(*args, **more)
        alarm(site)
        return found

    monkeypatch.setattr(forget, "AT_ONCE", 1)
    monkeypatch.setattr(commands, name, stepped)
    place = in_this_process(site, recorded)

    async def go() -> None:
        await forget.carry_out(place, await forget.look(place), prune=True)

    with pytest.raises(VaultdError, match="mass change"):
        asyncio.run(go())
    gone = 1 if after == "the first was removed" else 2
    assert site.snapshots(kind="full") == before[gone:]
    # What is gone is on record, and nothing of it was cleared away: it can still be had back.
    (entry,) = [one for one in recorded if isinstance(one, Forgotten)]
    assert entry.snapshots == [one["id"] for one in before[:gone]]
    assert not [one for one in recorded if isinstance(one, Pruned)]
    left = {one.name for one in (site.servers["offsite"].root / "repo" / "data").rglob("*") if one.is_file()}
    assert packs <= left
    assert place.store is not None
    place.store.close()


def test_what_stays_is_compared_with_the_ledger_and_nothing_is_cleared_away_when_it_differs(site: Site) -> None:
    """A bit of a file's content: restic, asked whether all that it needs is there, finds nothing."""
    root = three_moments(site)
    done = command(site, "forget", "records", "--yes")["targets"][0]["done"]
    assert (done["sample"]["kind"], done["sample"]["count"], done["sample"]["counts"]["ok"]) == ("sample", 0, 1)
    (root / "stays").write_text("stays 3")
    site.backup(full=True)
    digest = hashlib.sha256(b"stays 3").hexdigest()
    spoil_blob(site, digest)
    answer = command(site, "forget", "records", "--yes", "--prune", code=4)
    done = answer["targets"][0]["done"]
    assert done["check"]["good"] is True and done["freed"] is None
    assert [(one["path"], one["result"]) for one in done["sample"]["differences"]] == [("stays", "damaged")]
    assert "verify-difference" in site.alerts()
    site.backup()
    entries = site.entries("verification")
    assert [(one["kind"], one["differences"]) for one in entries] == [("sample", 0), ("sample", 1)]
    assert not site.entries("prune")


def spoil_blob(site: Site, blob: str) -> None:
    """Flip a bit of a blob in its pack."""
    for index in site.restic("list", "index", "--no-lock").decode().split():
        for pack in json.loads(site.restic("cat", "index", index, "--no-lock"))["packs"]:
            for one in pack["blobs"]:
                if one["id"] == blob:
                    file = site.servers["offsite"].root / "repo" / "data" / pack["id"][:2] / pack["id"]
                    overwrite(file, one["offset"] + one["length"] // 2, b"\x01")
                    return
    raise AssertionError("no such blob")


def test_dates_that_cannot_be_true_stop_it_and_are_kept_when_told(site: Site) -> None:
    three_moments(site)
    newest = site.snapshots(kind="full")[-1]
    tags = [tag for tag in newest["tags"] if not tag.startswith("id=")] + ["id=000000000900-00000000"]
    root = site.vaults["records"]["path"]
    site.restic(
        "backup", "--host", "ward", "--time", "2040-01-01 00:00:00", *(w for tag in tags for w in ("--tag", tag)),
        str(root),
    )  # fmt: skip
    (made_up,) = [one for one in site.snapshots(kind="full") if one["time"].startswith("2040")]
    error = command(site, "forget", "records", "--yes", code=1)["error"]
    assert made_up["id"][:8] in error["why"] and len(site.snapshots(kind="full")) == 4
    command(site, "forget", "records", "--yes", "--keep-odd")
    assert {one["id"] for one in site.snapshots(kind="full")} == {newest["id"], made_up["id"]}


def test_other_repositories_and_other_vaults_snapshots_are_left_alone(site: Site) -> None:
    site.add_vault("other")
    three_moments(site)
    root = str(site.vaults["records"]["path"])
    site.restic("backup", "--host", "ward", root)  # somebody's own
    tags = [tag for tag in site.snapshots(kind="full")[0]["tags"] if not tag.startswith("id=")]
    site.restic(
        "backup",
        "--host",
        "elsewhere",
        *(w for tag in [*tags, "id=000000000001-00000000"] for w in ("--tag", tag)),
        root,
    )  # another host's
    theirs = {one["id"] for one in json.loads(site.restic("snapshots", "--json"))}
    theirs -= {one["id"] for one in site.snapshots(kind="full") if one["hostname"] == "ward"}
    command(site, "forget", "records", "--yes")
    left = {one["id"] for one in json.loads(site.restic("snapshots", "--json"))}
    assert theirs <= left and len(left - theirs) == 1
    folder = site.servers["offsite"].root / "repo"
    folder.rename(folder.with_name("old"))
    from tests.quick_repository import quick_repository

    quick_repository(folder, Path(str(site.targets["offsite"]["password_file"])))
    error = command(site, "forget", "records", "--yes", code=1)["error"]
    assert error["code"] == "repository-foreign"


def test_it_runs_beside_the_daemon_which_waits_and_goes_on(site: Site) -> None:
    root = three_moments(site)
    site.start()
    site.wait_protected()
    assert len(command(site, "forget", "records", "--yes")["targets"][0]["done"]["forgotten"]) >= 2
    (root / "new").write_text("after it")
    site.wait_protected()
    site.assert_restorable()
    until(lambda: site.entries("forget"), "on record")
    assert "snapshots-missing" not in site.alerts()


def test_the_daemons_worker_waits_while_somebody_has_the_target(site: Site) -> None:
    site.add_target("annex")
    site.vaults["records"]["targets"] = ["offsite", "annex"]
    root = three_moments(site)
    site.start()
    site.wait_protected()
    site.wait_protected(target="annex")
    code = (
        "import asyncio, sys, time\nfrom pathlib import Path\nfrom vaultd.protect.hold import Turn\n"
        "async def go():\n async with Turn(Path(sys.argv[1])):\n  print('mine', flush=True)\n  time.sleep(600)\n"
        "asyncio.run(go())"
    )
    line = [sys.executable, "-c", code, str(site.state / "targets" / "offsite")]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == b"mine\n"
            before = len(site.snapshots())
            elsewhere = len(site.snapshots("annex"))
            (root / "new").write_text("waits")
            # The other target's worker hears of it at the same moment, and has nobody to wait for.
            until(lambda: len(site.snapshots("annex")) > elsewhere, "the change is at the other target")
            assert len(site.snapshots()) == before and site.at()["owed"] > 0
        finally:
            holder.send_signal(signal.SIGKILL)
    site.wait_protected()
    site.assert_restorable()


def test_from_another_host_with_its_own_credentials(site: Site, tmp_path: Path) -> None:
    """The daemon's account may not remove; another key's account may, from a host without a state."""
    three_moments(site)
    server = site.servers["offsite"]
    other = tmp_path / "other.toml"
    own = tmp_path / "elsewhere"
    text = site.file.read_text().replace(json.dumps(str(site.state)), json.dumps(str(own)))
    text = text.replace(json.dumps(str(server.identity)), json.dumps(str(tmp_path / "no such key")))
    other.write_text(text)
    args = ["forget", "records", "--yes", "--identity", str(server.identity)]
    error = command(site, *args, code=2, file=other)["error"]
    assert "--no-alert-check" in error["hint"] and len(site.snapshots(kind="full")) == 3
    done = command(site, *args, "--no-alert-check", file=other)["targets"][0]["done"]
    assert len(done["forgotten"]) == 2 and len(site.snapshots(kind="full")) == 1
    # The vault's own host finds nothing missing but what was old, and goes on.
    site.backup(full=True)
    assert "snapshots-missing" not in site.alerts()


def test_what_an_interrupted_run_has_removed_goes_on_record_later(site: Site) -> None:
    three_moments(site)
    gone = site.snapshots(kind="full")[0]["id"]
    store = Store(site.state / "state.db")
    left = {"vault": "records", "ids": [gone], "policy": "00" * 32, "who": "uid 7"}
    store.set_meta("forget:records:offsite", json.dumps(left))
    store.close()
    site.restic("forget", gone)
    command(site, "forget", "records")
    site.backup(full=True)
    (entry,) = site.entries("forget")
    assert entry["snapshots"] == [gone] and entry["who"] == "uid 7"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="makes files immutable")
def test_what_the_server_does_not_let_go_is_told_and_not_on_record(site: Site) -> None:
    """restic 0.18 ends with 0 then."""
    three_moments(site)
    first, second, newest = (one["id"] for one in site.snapshots(kind="full"))
    stuck = site.servers["offsite"].root / "repo" / "snapshots" / first
    if subprocess.run(["chattr", "+i", str(stuck)], check=False).returncode:
        pytest.skip("this file system has no immutable files")
    try:
        done = command(site, "forget", "records", "--yes", code=3)["targets"][0]["done"]
    finally:
        subprocess.run(["chattr", "-i", str(stuck)], check=True)
    assert (done["left"], done["forgotten"]) == ([first], [second])
    assert [one["id"] for one in site.snapshots(kind="full")] == [first, newest]
    site.backup(full=True)
    assert [one["snapshots"] for one in site.entries("forget")] == [[second]]


def by_itself(site: Site, moment: str) -> None:
    """What the daemon's task does at a moment of the day, in this process."""
    config = load(site.file)

    async def go() -> None:
        async with at_work(config, lambda _progress: None) as assembly:
            await Retention(assembly, lambda: datetime.fromisoformat(moment)).once()

    with exclusive(config.host.state):
        asyncio.run(go())


def test_the_daemon_does_it_by_itself_where_it_is_told_to_in_its_window_once_a_day(site: Site) -> None:
    three_moments(site)
    by_itself(site, "2026-11-28 02:00")
    assert len(site.snapshots(kind="full")) == 3
    site.vaults["records"]["retention"]["auto"] = True
    site.write()
    by_itself(site, "2026-11-28 12:00")
    assert len(site.snapshots(kind="full")) == 3
    store = Store(site.state / "state.db")
    store.alerts.raise_("mass-change", vault="records", detail={"changed": 300, "files": 400, "share": 0.75})
    by_itself(site, "2026-11-28 02:00")
    assert len(site.snapshots(kind="full")) == 3 and "retention" in site.alerts()
    store.alerts.clear("mass-change", vault="records")
    store.close()
    by_itself(site, "2026-11-28 03:00")  # it was tried today
    assert len(site.snapshots(kind="full")) == 3
    by_itself(site, "2026-11-29 01:00")
    assert len(site.snapshots(kind="full")) == 1 and "retention" not in site.alerts()
    (entry,) = site.entries("forget")
    assert entry["who"] == "daemon" and site.entries("prune")


# records destroyed


def test_destroyed_records_are_in_no_snapshot_and_everything_else_is_as_it_was(site: Site) -> None:
    root = three_moments(site)
    (root / "express").write_text("x")
    site.backup()
    before = {one["id"]: one for one in site.snapshots()}
    contents = {one: site.content(one) for one in before}
    (answer,) = [command(site, "forget", "records", "--path", "gone", "--reason", "declassified 114", "--yes")]
    (done,) = answer["destroyed"]
    assert done["held"] == 1 and done["files"] == 1 and done["check"]["good"] is True
    assert done["before"] == done["after"] == len(before)
    after = {one["id"]: one for one in site.snapshots()}
    (old,) = before.keys() - after.keys()
    assert done["rewritten"] == {old: next(iter(after.keys() - before.keys()))}
    for one, stored in contents.items():
        now = site.content(done["rewritten"].get(one, one))
        assert now == {path: digest for path, digest in stored.items() if path != b"gone"}
    packs = b"".join(p.read_bytes() for p in (site.servers["offsite"].root / "repo" / "snapshots").iterdir())
    assert packs  # and restore by vaultd finds the rewritten moment
    to = site.folder / "restored"
    command(site, "restore", "records", "--to", str(to), "--snapshot", done["rewritten"][old])
    assert sorted(path.name for path in to.iterdir()) == ["stays"]
    text = Path(answer["certificate"]).read_text("utf-8")
    assert "declassified 114" in text and "gone" in text and "记录销毁证明" in text
    assert os.stat(answer["certificate"]).st_mode & 0o777 == 0o600
    site.backup(full=True)
    assert "snapshots-missing" not in site.alerts()
    (entry,) = site.entries("destroyed-records")
    assert "gone" not in json.dumps(entry)
    assert entry["paths"] == [hashlib.sha256(bytes.fromhex(entry["path_salt"]) + b"gone").hexdigest()]
    assert entry["certificate"] == hashlib.sha256(text.encode()).hexdigest()


def test_the_newest_full_snapshot_may_be_rewritten_without_an_alert(site: Site) -> None:
    root = three_moments(site)
    (root / "last").write_text("last")
    site.backup(full=True)
    (root / "last").unlink()
    answer = command(site, "forget", "records", "--path", "last", "--reason", "r", "--yes")
    assert answer["destroyed"][0]["held"] == 1
    site.backup(full=True)
    assert "snapshots-missing" not in site.alerts()
    site.assert_restorable()


def test_an_interrupted_destruction_is_finished_by_the_same_command(site: Site) -> None:
    """As if killed after the copies were made: both are there."""
    root = three_moments(site)
    listed = site.folder / "exclude"
    listed.write_bytes(bytes(root) + b"/gone\n")
    site.restic("rewrite", "--exclude-file", str(listed))
    assert len(site.snapshots()) == 4
    answer = command(site, "forget", "records", "--path", "gone", "--reason", "r", "--yes")
    assert answer["destroyed"][0]["held"] == 1 and len(site.snapshots()) == 3
    assert all(b"gone" not in site.content(one["id"]) for one in site.snapshots())


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--path", "stays", "--reason", "r"], 1, "still in the vault's folder"),
        (["--path", "gone"], 2, "reason"),
        (["--path", ".", "--reason", "r"], 2, "whole vault"),
        (["--path", "../x", "--reason", "r"], 2, "not inside the vault"),
        (["--path", "new\nline", "--reason", "r"], 2, "line end"),
        (["--reason", "r"], 2, "belong to --path"),
    ],
)
def test_what_is_not_destroyed(site: Site, args: list[str], code: int, said: str) -> None:
    site.prepare()
    root = Path(site.vaults["records"]["path"])
    (root / "stays").write_text("stays")
    site.backup(full=True)
    before = site.snapshots()
    error = command(site, "forget", "records", *args, "--yes", code=code)["error"]
    assert said in error["why"] and site.snapshots() == before


# an express snapshot that somebody has removed


def test_a_missing_express_snapshot_is_told_with_what_it_costs(site: Site) -> None:
    site.host |= {"full_seconds": 0, "full_share": 0.001}
    site.prepare()
    root = Path(site.vaults["records"]["path"])
    for name in ("a", "b", "c"):
        (root / name).write_text("first")
    site.backup(full=True)
    (root / "a").write_text("second")
    (root / "b").write_text("second")
    site.backup()
    (root / "b").write_text("third")
    site.backup()
    gone, last = (one["id"] for one in site.snapshots(kind="express"))
    site.restic("forget", gone)
    answer = command(site, "restore", "records", "--to", str(site.folder / "restored"), code=3)
    (told,) = answer["gone"]
    assert told["id"] == gone and [one["path"] for one in told["listed"]] == ["a"]
    assert answer["outcome"] == "done" and [one["id"] for one in answer["snapshots"]][-1] == last
    assert (site.folder / "restored" / "a").read_text() == "first"
    assert (site.folder / "restored" / "b").read_text() == "third"
    # One that was forgotten on purpose, or a moment before it, lacks nothing.
    assert command(site, "restore", "records", "--to", str(site.folder / "exact"), "--exact")["gone"] == []
