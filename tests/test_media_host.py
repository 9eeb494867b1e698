"""The register on a running host: the daemon's alerts, what is safe off-site, and that it goes off-site itself."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from datetime import datetime, timedelta
from pathlib import Path

from tests.kitting import said, vaultd
from tests.registering import make_key
from tests.site import Site, site_in, until
from vaultd.daemon.assembly import assemble
from vaultd.media import safety
from vaultd.model import FileKind, SnapshotKind, Stat
from vaultd.store import Acknowledgement, Bound, Store

STATE = "vaultd-state"


def persons(folder: Path) -> str:
    """[[person]] of two who have keys."""
    found = ""
    for number, (name, role) in enumerate((("张伟", "保管员"), ("王芳", "保密办"))):
        public = make_key(folder / f"key-{number}").with_suffix(".pub").read_text().strip()
        found += f'[[person]]\nname = "{name}"\nrole = "{role}"\nssh_key = "{public}"\n'
    return found


def media(site: Site, *args: object, code: int = 0) -> str:
    return vaultd("media", *args, config=site.file, code=code)


def add(site: Site, *args: object) -> str:
    told = vaultd(
        "--json", "media", "add", "--custodian", "张伟", "--classification", "secret", *args, config=site.file
    )
    return str(json.loads(told)["medium"]["label"])


REMOVE = ("--action", "remove", "--by", "张伟", "--to", "张伟", "--approved-by", "王芳", "--sheet", "41")


def test_a_disk_is_removed_when_its_vault_is_off_site_and_not_before(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.add_target()
        vault = site.add_vault()
        site.file_tail = persons(tmp_path)
        (vault / "a").write_text("1")
        site.prepare()
        label = add(site, "--vault", "records", "--location", "机房")
        media(site, "transfer", label, *REMOVE, code=1)
        assert "nothing is known of it here" in said()
        site.start()
        site.wait_protected()
        other = add(site, "--vault", "records", "--location", "机房")
        media(site, "transfer", label, *REMOVE)
        site.servers["offsite"].stop()
        (vault / "b").write_text("2")
        until(lambda: site.at()["pending_files"] > 0, "the change is pending")
        media(site, "transfer", other, *REMOVE, code=1)
        assert "vault records on it is not safe off-site" in said()
        assert site.stop() == 0
        media(site, "transfer", other, *REMOVE, "--override", "水已到机柜")
        custody = json.loads(vaultd("--json", "media", "show", other, config=site.file))["events"]
        assert custody[0]["statement"]["override"] == "水已到机柜"


def test_without_a_daemon_nobody_knows_that_a_vault_is_safe(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.add_target()
        (site.add_vault() / "a").write_text("1")
        site.file_tail = persons(tmp_path)
        site.prepare()
        site.backup(full=True)
        label = add(site, "--vault", "records", "--location", "机房")
        media(site, "transfer", label, *REMOVE, code=1)
        assert "the daemon does not run" in said()


def test_the_daemon_says_what_is_overdue_and_puts_what_happens_on_record(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.add_target()
        site.add_vault()
        site.file_tail = persons(tmp_path)
        site.prepare()
        label = add(site, "--location", "库房2", "--status", "deposited")
        day = (datetime.now().astimezone().date() + timedelta(days=3)).isoformat()
        media(
            site,
            "check-out",
            label,
            "--by",
            "张伟",
            "--to",
            "周护士",
            "--due",
            day,
            "--approved-by",
            "王芳",
            "--sheet",
            "1",
        )
        store = Store(site.state / "state.db")
        found = store.medium(label)
        assert found is not None and found.id is not None
        store.change_medium(found.id, {"due": 1})  # the days go by
        store.close()
        site.start()
        until(lambda: "media-overdue" in {one["code"] for one in site.status()["alerts"]}, "the alert is raised")
        assert site.status()["media"]["overdue"] == 1
        shown = vaultd("status", config=site.file)
        assert "1 overdue" in shown and label in shown
        until(lambda: [one["action"] for one in site.entries("media-custody")] == ["check-out"], "it is on record")
        assert [one["label"] for one in site.entries("medium")] == [label]


def test_the_register_goes_off_site_and_is_there_as_it_was(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.add_target()
        (site.add_vault() / "a").write_text("1")
        site.prepare()
        label = add(site, "--serial", "ZC1", "--location", "机房")
        site.start()
        site.wait_protected()
        until(lambda: site.snapshots(vault=STATE), "the state is off-site")
        newest = site.snapshots(vault=STATE)[-1]
        copy = site.restic("dump", newest["id"], str(site.state / "copy" / "state.db"))
        (tmp_path / "copy.db").write_bytes(copy)
        db = sqlite3.connect(tmp_path / "copy.db")
        assert db.execute("SELECT label, serial, location FROM medium").fetchall() == [(label, "ZC1", "机房")]
        db.close()


def test_a_change_of_the_register_alone_makes_the_copy_of_the_state_due(tmp_path: Path) -> None:
    """No file changes on the day on which the disks are carried out."""
    with site_in(tmp_path) as site:
        site.add_target()
        site.add_vault()
        with assemble(site.prepare(), lambda _progress: None) as assembly:
            schedule = assembly.workers["offsite"].schedule
            (series,) = schedule.series.values()
            assembly.store.acknowledge(
                Acknowledgement("1-a", "s" * 64, schedule.target.id, series.vault.id, SnapshotKind.FULL, 1, 0, 0, 0),
                lambda _db, _versions: None,
            )
            number = schedule.choose(time.monotonic(), shaky=False).state
            assert number is not None
            asyncio.run(assembly.workers["offsite"]._state_copy.make(number))
            later = time.monotonic() + 3600
            assert schedule.choose(later, shaky=False).state is None  # nothing is new
            add(site)
            assert schedule.choose(later, shaky=False).state is not None


def test_a_vault_is_safe_when_one_target_that_answers_lacks_nothing(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        for name in ("east", "west"):
            site.add_target(name)
        site.add_vault()
        with assemble(site.prepare(), lambda _progress: None) as assembly:
            store, (vault,) = assembly.store, assembly.vaults.values()
            config = assembly.context.config
            east, west = (assembly.workers[name].target.id for name in ("east", "west"))

            def why() -> list[str]:
                return [one.why for one in safety.unsafe(store, config, ["records"], watched=True)]

            def full(number: int, target: int, *bound: Bound) -> None:
                done = Acknowledgement(
                    f"{number}-a", "s" * 64, target, vault.id, SnapshotKind.FULL, 1, 0, 0, store.seq(), bound
                )
                store.acknowledge(done, lambda _db, _versions: None)

            assert why() == ["nothing is known of it here"]
            store.set_totals(vault.id, 1, 1, 1)
            assert why() == ["no target that answers has a full snapshot"]
            full(1, east)
            assert why() == []
            seen = Stat.of(os.lstat(vault.root))._replace(kind=FileKind.FILE, size=700)
            store.observe(vault.id, vault.targets, [(b"a", seen)])
            (found,) = safety.unsafe(store, config, ["records"], watched=True)
            assert (found.why, found.files, found.bytes) == ("changes are not off-site", 1, 700)
            full(2, west, Bound(b"a", seen, bytes(32)))  # it is whole there, whatever the other one lacks
            assert why() == []
            assert [one.why for one in safety.unsafe(store, config, ["records"], watched=False)] == [
                "the daemon does not run: changes may be unseen"]  # fmt: skip
            store.alerts.raise_("target-unreachable", target="west")
            assert why() == ["changes are not off-site"]
