"""A kit from its making to a new machine: real sshd, real restic, sheets that are scanned and typed."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kitting import Kit, destroy, let_in, said, vaultd
from tests.site import Site, site_in
from vaultd.restore.compare import compare, describe, differences


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Kit]]:
    folder = tmp_path_factory.mktemp("kit")
    with site_in(folder) as site:
        site.add_target()
        vault = site.add_vault()
        (vault / "病案.txt").write_text("first")
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
    assert vaultd("snapshots", "records", config=file)
    again = tmp_path / "again"
    vaultd("restore", "records", "--to", again, config=file)
    assert compare(to / "records", again) == []
