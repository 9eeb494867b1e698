"""The building is gone, one target has lost packs, and three sheets of paper bring everything back: one test."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from tests.kitting import Kit, destroy, let_in, vaultd
from tests.site import Site, site_in, until
from vaultd.ledger.reading import Reader
from vaultd.ledger.verify import verify
from vaultd.restore.compare import Entry, describe, differences

VAULTS = ("patients", "research", "staff")
SEED = 20261128
STATE = "vaultd-state"


def fill(vault: Path, rounds: str) -> None:
    """Files that no other vault or round has, some of them in folders of their own."""
    for number in range(12):
        folder = vault / f"ward {number % 3}"
        folder.mkdir(exist_ok=True)
        (folder / f"病案 {rounds} {number}.dat").write_bytes(os.urandom(3000 + 500 * number))


def newest_target(site: Site, vault: str) -> str:
    """The target whose copy of a vault is the youngest: what a restore begins with."""
    return max(site.targets, key=lambda one: max(found["time"] for found in site.snapshots(one, vault)))


def lose_packs(site: Site, target: str, vault: str) -> tuple[set[Path], str]:
    """Remove a random 5 % of a target's pack files; drawn again until the vault's last state needs one of them. The
    packs, and the snapshot."""
    repository = site.servers[target].root / "repo"
    packs = sorted(path for path in (repository / "data").rglob("*") if path.is_file())
    newest = site.snapshots(target, vault, "full")[-1]["id"]
    draw = random.Random(SEED)
    while True:
        lost = draw.sample(packs, math.ceil(len(packs) * 0.05))
        found = site.restic("find", "--snapshot", newest, "--pack", *(one.name for one in lost), target=target)
        if b"patients" in found:
            break
    for one in lost:
        one.unlink()
    return set(lost), newest


def by_hand(site: Site, target: str, snapshot: str, root: Path, to: Path, whole: dict[bytes, Entry]) -> set[bytes]:
    """What restic alone can not bring back of a snapshot from a damaged repository: the files that are not as they
    were."""
    found = site.repository(target)
    command = ["restic", "-r", found.url, "-p", found.password_file, "--cache-dir", to / "cache", *found.options]
    subprocess.run([*command, "--no-lock", "restore", f"{snapshot}:{root}", "--target", to / "r"], capture_output=True)
    came = describe(to / "r") if (to / "r").exists() else {}
    return {
        path for path, one in whole.items()
        if one.kind == "file" and (path not in came or came[path].sha256 != one.sha256)
    }  # fmt: skip


def serve(site: Site, kit: Kit, *, read_only: bool) -> None:
    """Start the servers anew, for who has the kit."""
    for server in site.servers.values():
        server.stop()
        server.read_only = read_only
        server.start()
    let_in(site, kit.told)


def register(site: Site) -> str:
    """A medium in the register, which somebody has handed over; its label."""
    site.file_tail = '[[person]]\nname = "王芳"\n'
    site.write()
    asked = ["--custodian", "张伟", "--classification", "secret", "--serial", "ZC1A2B3C", "--location", "机房"]
    label = json.loads(vaultd("--json", "media", "add", *asked, config=site.file))["medium"]["label"]
    vaultd("media", "transfer", label, "--action", "hand-over", "--by", "张伟", "--to", "李娜", "--approved-by", "王芳",
           "--sheet", "1", config=site.file)  # fmt: skip
    return str(label)


def state_copies(site: Site) -> list[int]:
    return [len(site.snapshots(target, STATE)) for target in site.targets]


def test_a_host_that_is_destroyed_comes_back_from_three_sheets_and_two_targets(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    with site_in(a) as site:
        for name in ("east", "west"):
            site.add_target(name)
        for name in VAULTS:
            fill(site.add_vault(name), "one")
        site.prepare()
        site.start()
        for vault in VAULTS:
            for target in site.targets:
                site.wait_protected(vault, target)
        earlier, moment = describe(a / "patients"), datetime.now(UTC)
        kit = Kit(site, tmp_path / "sheets", "--batch", "--with-ledger-key", code=3)
        let_in(site, kit.told)
        for vault in VAULTS:
            fill(a / vault, "two")
        (a / "patients" / "ward 0" / "病案 one 0.dat").unlink()
        for vault in VAULTS:
            for target in site.targets:
                site.wait_protected(vault, target)
        label = register(site)
        assert site.stop() == 0
        before = state_copies(site)
        site.start()  # a start copies the state at once
        until(lambda: all(map(int.__lt__, before, state_copies(site))), "the state is at both targets")
        site.kill()
        last = {vault: describe(a / vault) for vault in VAULTS}
        entries, configuration = len(site.entries()), tomllib.loads(site.file.read_text())
        worn = newest_target(site, "patients")
        lost, snapshot = lose_packs(site, worn, "patients")
        cost = by_hand(site, worn, snapshot, a / "patients", tmp_path / "hand", last["patients"])
        assert lost and cost, "the vault's last state must need a lost pack"
        destroy(site)
        serve(site, kit, read_only=True)  # the kit reads, and needs nothing more

        told = json.loads(
            vaultd("--json", "kit", "open", *kit.options(2, 5, 3), "--state", b / "state", "--to", b / "vaults",
                   config=b / "vaultd.toml")
        )  # fmt: skip
        # Every vault's last state.
        for vault in VAULTS:
            assert differences(last[vault], describe(b / "vaults" / vault)) == [], vault
        # Exactly the versions that the lost packs cost, each from the other target, with the hash on record.
        (patients,) = [one for one in told["vaults"] if one["vault"] == "patients"]
        assert patients["restore"]["target"] == worn
        assert {os.fsencode(one["path"]) for one in patients["elsewhere"]["lost"]["listed"]} == cost
        taken = patients["elsewhere"]["taken"]["listed"]
        assert {os.fsencode(one["path"]) for one in taken} == cost
        assert all(one["confirmed"] and one["target"] != worn for one in taken)
        assert patients["elsewhere"]["still"]["count"] == 0
        # The configuration, but for what is this machine's.
        again = tomllib.loads((b / "vaultd.toml").read_text())
        for one in (*again["target"], *configuration["target"]):
            for key in ("identity", "password_file", "known_hosts"):
                del one[key]
        assert again["host"].pop("state") == str(b / "state")
        del configuration["host"]["state"]
        assert again == configuration
        # The media register: what there was, who had it, and what has happened to it.
        shown = json.loads(vaultd("--json", "media", "show", label, config=b / "vaultd.toml"))
        assert (shown["medium"]["serial"], shown["medium"]["holder"]) == ("ZC1A2B3C", "李娜")
        assert [one["action"] for one in shown["events"]] == ["hand-over"]
        # The ledger: whole, and nobody's to sign.
        assert told["ledger"]["holds"] and not told["ledger"]["continued"]
        assert told["ledger"]["size"] + told["ledger"]["unsigned"] >= entries - 2  # the very last: alive, opened
        assert not (b / "state" / "ledger.key").exists()
        # An earlier moment.
        at = f"{moment:%Y-%m-%d %H:%M:%S}Z"
        vaultd("restore", "patients", "--to", b / "earlier", "--at", at, config=b / "vaultd.toml")
        assert differences(earlier, describe(b / "earlier")) == []
        # Going on under the same name is an explicit choice; then it is this host that signs.
        c = tmp_path / "c"
        asked = ["kit", "open", *kit.options(1, 4, 5), "--state", c / "state", "--in-place", "--continue-ledger"]
        told = json.loads(vaultd("--json", *asked, config=c / "vaultd.toml"))
        assert told["ledger"]["continued"]
        serve(site, kit, read_only=False)
        for vault in VAULTS:
            assert differences(last[vault], describe(a / vault)) == [], vault
        _signs(c)
        opened = [one for one in Reader(c / "state" / "ledger").newest_first() if one["type"] == "kit-opened"]
        assert [(one["kit"], one["shares"], one["continued"]) for one in opened] == [(kit.id, ["1", "4", "5"], 1)]


def _signs(host: Path) -> None:
    """The new host, whose vaults are where they were, protects and signs under the old name."""
    size = verify(host / "state" / "ledger").size
    vaultd("backup", config=host / "vaultd.toml")
    report = verify(host / "state" / "ledger")
    assert report.size > size
    assert report.origin.startswith("ward/")
