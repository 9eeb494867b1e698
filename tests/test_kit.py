"""A kit from its making to a new machine: real sshd, real restic, sheets that are scanned and typed."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.kitting import Kit, let_in, said, vaultd
from tests.site import Site, site_in, until
from vaultd.config import load
from vaultd.kit import seal, shares, spelling, words
from vaultd.kit.content import Content
from vaultd.restore.compare import compare, describe, differences


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Kit]]:
    folder = tmp_path_factory.mktemp("kit")
    with site_in(folder) as site:
        site.add_target()
        vault = site.add_vault()
        (vault / "病案.txt").write_text("first")
        spy = folder / "restic"
        spy.write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} >> {folder}/seen\nexec {shutil.which("restic")} "$@"\n')
        spy.chmod(0o755)
        site.host["restic"] = str(spy)
        site.prepare()
        site.start()
        site.wait_protected()
        kit = Kit(site, folder / "sheets", "--organisation", "市第一医院病案室", code=3)
        let_in(site, kit.told)
        yield site, kit


def test_what_is_made_is_for_its_owner_alone_and_is_beside_the_repository(made: tuple[Site, Kit]) -> None:
    site, kit = made
    assert stat.S_IMODE(kit.out.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in kit.out.glob(f"{kit.id}*")} == {0o600}
    assert len(list(kit.out.glob("*.pdf"))) == 5
    (server,) = site.servers.values()
    assert (server.root / ".vaultd" / "kit" / f"{kit.id}.kit").read_bytes() == kit.file.read_bytes()
    (listed,) = json.loads(vaultd("--json", "kit", "list", config=site.file))["kits"]
    assert (listed["id"], listed["state"]) == (kit.id, "valid")


def test_a_new_machine_gets_everything_back_with_three_shares(made: tuple[Site, Kit], tmp_path: Path) -> None:
    site, kit = made
    before = describe(site.folder / "records")
    file, state, to = tmp_path / "b" / "vaultd.toml", tmp_path / "b" / "state", tmp_path / "b" / "restored"
    told = json.loads(
        vaultd("--json", "kit", "open", *kit.options(5, 1, 3), "--state", state, "--to", to, config=file)
    )  # fmt: skip
    assert differences(before, describe(to / "records")) == []
    assert told["ledger"]["holds"] and not told["ledger"]["continued"]
    assert not (state / "ledger.key").exists()
    again = ["kit", "open", *kit.options(1, 2, 3), "--state", state, "--no-vaults"]
    vaultd(*again, config=tmp_path / "other.toml", code=1)  # what is in use is left alone, its keys too
    assert vaultd("snapshots", "records", config=file)
    vaultd("restore", "records", "--to", tmp_path / "again", config=file)
    assert compare(to / "records", tmp_path / "again") == []


def _opened(kit: Kit) -> Content:
    return seal.unseal(seal.read(kit.file.read_bytes()), shares.combine([kit.share(one) for one in (1, 2, 3)]))


def test_the_kit_has_keys_of_its_own_and_none_of_them_is_anywhere_else(made: tuple[Site, Kit]) -> None:
    site, kit = made
    content = _opened(kit)
    (target,) = content.targets
    assert target.password not in Path(site.targets["offsite"]["password_file"]).read_text()
    assert target.identity != site.servers["offsite"].identity.read_text()
    assert content.ledger is not None
    assert content.ledger.signing_key is None and content.ledger.root_private is None
    assert content.ledger.root_key == (site.state / "ledger" / "keys" / "root").read_text().strip()
    secrets = [target.password, *target.identity.splitlines()[1:-1], *(kit.share(one).value.hex() for one in (1, 2, 3))]
    places = [site.folder / "seen", site.log, *(one for one in site.state.rglob("*") if one.is_file())]
    for place in places:
        content_ = place.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content_, place
    assert "key add" in (site.folder / "seen").read_text()


def test_what_was_done_is_on_record_without_a_secret(made: tuple[Site, Kit]) -> None:
    site, kit = made
    until(lambda: site.entries("kit-created"), "the kit is on record")
    (entry,) = site.entries("kit-created")
    assert (entry["kit"], entry["threshold"], entry["shares"], entry["targets"]) == (kit.id, 3, 5, ["offsite"])
    password = _opened(kit).targets[0].password
    assert password not in json.dumps(entry)


def test_a_typed_share_with_a_slip_is_named_and_asked_for_again(made: tuple[Site, Kit], tmp_path: Path) -> None:
    _site, kit = made
    rows = {one: spelling.rows(kit.share(one)) for one in (2, 4, 5)}
    slip = rows[2][2].replace(rows[2][2][1], "7" if rows[2][2][1] != "7" else "3", 1)
    typed = [*rows[2][:2], slip, *rows[2][2:], *rows[4], *rows[4], *rows[5]]  # the fourth twice: not another one
    to, file = tmp_path / "to", tmp_path / "vaultd.toml"
    told = vaultd(
        "kit", "open", "--kit", kit.file, "--state", tmp_path / "state", "--to", to, config=file,
        typed="\n".join(typed) + "\n",
    )  # fmt: skip
    assert "row 3 of the share: a digit is wrong, or two are swapped" in said()
    assert "Share 4 is there already" in said()
    assert (to / "records" / "病案.txt").read_text() == "first"
    assert "internal-sftp" in told


def test_pictures_of_the_sheets_alone_are_enough(made: tuple[Site, Kit], tmp_path: Path) -> None:
    _site, kit = made
    images = [word for one in (1, 2, 4) for word in ("--share-image", kit.page(one, 1))]
    file = tmp_path / "vaultd.toml"
    told = json.loads(
        vaultd("--json", "kit", "open", "--kit-image", kit.page(3, 4), *images, "--state", tmp_path / "state",
               "--no-vaults", config=file)
    )  # fmt: skip
    assert told["shares"] == [1, 2, 4]
    # There is no daemon here and no key: what is asked of the new host works from what came back.
    shown = json.loads(vaultd("--json", "ledger", "show", "--type", "snapshot", config=file))
    assert shown["entries"]


def test_the_steps_on_the_sheet_bring_a_vault_back_without_vaultd(made: tuple[Site, Kit], tmp_path: Path) -> None:
    """ssss, Python, ssh and restic, by the very lines that are printed; what is in capitals there is filled in."""
    site, kit = made
    numbers = (5, 2, 4)
    combine, decrypt, restore = words.BARE_COMMANDS[1:]
    halves = []
    for line, rows in zip(combine, ((1, 2), (3, 4)), strict=True):
        typed = [
            f"{one}-" + "".join(spelling.rows(kit.share(one))[row].replace(" ", "")[:-3] for row in rows)
            for one in numbers
        ]
        command = line.format(threshold=3).split()
        done = subprocess.run(command, input="\n".join(typed) + "\n", capture_output=True, text=True, check=True)
        halves.append(done.stderr.split()[-1])
    shutil.copy(kit.file, tmp_path)
    script = "\n".join(decrypt).format(kit=kit.id).replace("KEY", "".join(halves), 1)
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, check=True)
    (target,) = json.loads((tmp_path / "kit.json").read_text())["targets"]
    for name, text in (
        ("password", target["password"]), ("identity", target["identity"]),
        ("host_keys", f"[{target['host']}]:{target['port']} {target['host_keys'][0]}\n"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    script = "\n".join(restore).format()
    snapshot = site.snapshots(kind="full")[-1]["id"]
    for word, value in (
        ("USER", target["user"]), ("SERVER", target["host"]), ("PORT", str(target["port"])), ("FOLDER", target["path"]),
        (" ID ", f" {snapshot} "), ("/srv/restored", str(tmp_path / "restored")),
    ):  # fmt: skip
        script = script.replace(word, value)
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    there = Path(str(tmp_path / "restored") + str(site.folder / "records"))
    assert compare(site.folder / "records", there) == []


def test_what_cannot_open_a_kit_is_said_and_nothing_is_changed(made: tuple[Site, Kit], tmp_path: Path) -> None:
    _site, kit = made
    file, state, to = tmp_path / "vaultd.toml", tmp_path / "state", tmp_path / "to"

    def refused(*args: object, code: int = 1) -> dict[str, str]:
        told = vaultd("--json", "kit", "open", *args, "--state", state, "--to", to, config=file, code=code)
        assert not file.exists() and not state.exists() and not to.exists()
        return dict(json.loads(told)["error"])

    assert "needs 3 different shares, and there are 2" in refused(*kit.options(1, 2))["why"]
    assert "needs 3 different shares, and there are 2" in refused(*kit.options(1, 2, 2))["why"]
    other = tmp_path / "other"
    other.write_text("\n".join(spelling.rows(shares.split(bytes(32), "00000001", 3, 5)[2])))
    assert "is of another kit" in refused(*kit.options(1, 2), "--share-file", other)["why"]
    forged = tmp_path / "forged"
    forged.write_text("\n".join(spelling.rows(shares.split(bytes(32), kit.id, 3, 5)[2])))
    error = refused(*kit.options(1, 2), "--share-file", forged)
    assert "does not open" in error["what"] and "other custodians" in error["hint"]
    torn = tmp_path / "torn"
    torn.write_text("\n".join(spelling.rows(kit.share(3))[:4]))
    assert str(torn) in refused(*kit.options(1, 2), "--share-file", torn)["what"]
    assert refused("--kit", other, "--share-file", kit.share_file(1))["code"] == "kit"
    assert "not given" in refused("--share-file", kit.share_file(1), code=2)["why"]
    # An expired kit opens only when somebody insists.
    content = _opened(kit)
    old = content.model_copy(update={"expires": date(2020, 1, 1)})
    key = shares.new_key()
    expired = tmp_path / "expired.kit"
    expired.write_bytes(seal.seal(old, key, 2, 2).encoded)
    words: list[object] = ["--kit", expired]
    for share in shares.split(key, kit.id, 2, 2):
        (tmp_path / f"old {share.number}").write_text("\n".join(spelling.rows(share)))
        words += ["--share-file", tmp_path / f"old {share.number}"]
    error = refused(*words)
    assert "its last day was 2020-01-01" in error["why"] and "--ignore-expiry" in error["hint"]
    vaultd("kit", "open", *words, "--ignore-expiry", "--state", state, "--no-vaults", config=file)


def test_a_machine_that_is_in_use_is_left_alone(made: tuple[Site, Kit], tmp_path: Path) -> None:
    site, kit = made
    before = site.file.read_text()
    vaultd("kit", "open", *kit.options(1, 2, 3), "--no-vaults", config=site.file, code=2)
    assert site.file.read_text() == before
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "mine").write_text("mine")
    file = tmp_path / "vaultd.toml"
    vaultd("kit", "open", *kit.options(1, 2, 3), "--no-vaults", "--state", tmp_path / "state", config=file, code=1)
    assert "is not empty" in said()
    assert [one.name for one in (tmp_path / "state").iterdir()] == ["mine"]
    vaultd("kit", "open", *kit.options(1, 2, 3), config=file, code=2)
    assert "--in-place" in said()


def test_without_any_copy_of_the_state_the_vaults_come_back_all_the_same(
    made: tuple[Site, Kit], tmp_path: Path
) -> None:
    site, kit = made
    for snapshot in site.snapshots(vault="vaultd-state"):
        stored = site.servers["offsite"].root / "repo" / "snapshots" / snapshot["id"]
        stored.rename(site.folder / f"kept-{snapshot['id']}")
    try:
        words = [*kit.options(1, 2, 3), "--state", tmp_path / "state", "--to", tmp_path / "to"]
        vaultd("kit", "open", *words, config=tmp_path / "vaultd.toml", code=1)
        assert "--no-state" in said()
        told = json.loads(vaultd("--json", "kit", "open", *words, "--no-state", config=tmp_path / "vaultd.toml"))
    finally:
        for kept in site.folder.glob("kept-*"):
            kept.rename(site.servers["offsite"].root / "repo" / "snapshots" / kept.name.removeprefix("kept-"))
    assert told["state"] is None and not told["ledger"]["holds"]
    assert compare(site.folder / "records", tmp_path / "to" / "records") == []
    assert load(tmp_path / "vaultd.toml").vault_named("records").path == site.folder / "records"


def test_the_ledger_goes_on_only_with_its_key(made: tuple[Site, Kit], tmp_path: Path) -> None:
    _site, kit = made
    words = [*kit.options(1, 2, 3), "--no-vaults", "--continue-ledger", "--state", tmp_path / "state"]
    told = json.loads(vaultd("--json", "kit", "open", *words, config=tmp_path / "vaultd.toml", code=3))
    assert told["ledger"]["holds"] and not told["ledger"]["continued"]
    assert not (tmp_path / "state" / "ledger.key").exists()


def test_a_kit_whose_target_is_away_is_not_made_and_leaves_no_key(made: tuple[Site, Kit], tmp_path: Path) -> None:
    site, _kit = made
    keys = sorted((site.servers["offsite"].root / "repo" / "keys").iterdir())
    for args, code in (
        (["--threshold", 1], 2), (["--threshold", 6], 2), (["--expires", "2020-01-01"], 2), (["--expires", "soon"], 2)
    ):  # fmt: skip
        vaultd("kit", "create", "--out", tmp_path / "out", "--batch", *args, config=site.file, code=code)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    vaultd("kit", "create", "--out", tmp_path / "full", "--batch", config=site.file, code=2)
    site.servers["offsite"].freeze()
    site.servers["offsite"].stop()
    try:
        vaultd("kit", "create", "--out", tmp_path / "out", "--batch", config=site.file, code=5)
    finally:
        site.servers["offsite"].start()
        let_in(site, _kit.told)
    assert sorted((site.servers["offsite"].root / "repo" / "keys").iterdir()) == keys
    assert not (tmp_path / "out").exists()
    states = [one["state"] for one in json.loads(vaultd("--json", "kit", "list", config=site.file))["kits"]]
    assert sorted(states) == ["revoked", "valid"]


def test_a_revoked_kit_opens_nothing_and_what_that_is_worth_is_said(made: tuple[Site, Kit], tmp_path: Path) -> None:
    site, kit = made
    content = _opened(kit)
    told = vaultd("kit", "revoke", kit.id, config=site.file)
    assert "remove the kit's line from authorized_keys" in told
    assert "open the same master key" in told and "vaultd kit migrate offsite" in told
    assert kit.told["targets"][0]["authorized_keys"] in told
    server = site.servers["offsite"].root
    assert not (server / "repo" / "keys" / content.targets[0].key).exists()
    assert not (server / ".vaultd" / "kit" / f"{kit.id}.kit").exists()
    file = tmp_path / "vaultd.toml"
    vaultd("kit", "open", *kit.options(1, 2, 3), "--state", tmp_path / "state", "--no-vaults", config=file, code=6)
    assert not list((tmp_path / "state").rglob("*.key")) and not file.exists()
    vaultd("kit", "revoke", kit.id, config=site.file)  # once more does no harm
    vaultd("kit", "revoke", "00000001", config=site.file, code=2)
    until(lambda: site.entries("kit-revoked"), "it is on record")
    assert site.entries("kit-revoked")[0]["targets"] == ["offsite"]
