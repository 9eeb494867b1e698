"""What an order sets in motion beside the copying, in a running daemon: media, the playbook, approvals, notices."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.carrying import LABEL, attached, needs_tools, prepared
from tests.kitting import said, vaultd
from tests.mounting import needs_mounts
from tests.site import Site, site_in, until
from vaultd.store.evacuations import SAFE, TierRow

PEOPLE = """
[[person]]
name = "王芳"
roles = ["director"]
ssh_key = "{director}"

[[person]]
name = "张伟"
telephone = "555 0100"

[[duty]]
person = "张伟"

[response.I]
directed_by = "王芳"
"""


def key(folder: Path, name: str) -> tuple[Path, str]:
    """A new SSH key: its file, and the public half."""
    file = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file], check=True)
    return file, file.with_suffix(".pub").read_text().strip()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as found:
        found.add_target()
        found.add_vault("records", priority=1, settle="1h", max_delay="1h")
        found.prepare()
        yield found


def order(site: Site, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vaultd("--json", "evacuate", "start", *args, config=site.file))
    return found


def tiers(site: Site) -> list[TierRow]:
    with contextlib.closing(site.store()) as store:
        return store.tiers(store.evacuations()[0].id)


def wait_copied(site: Site) -> None:
    def state() -> str:
        with contextlib.closing(site.store()) as store:
            return store.evacuations()[0].state

    until(lambda: state() == "copied", f"all is safe; tiers: {tiers(site)}; {site.log.read_text()[-2000:]}")


@needs_mounts
@needs_tools
@pytest.mark.root
def test_a_medium_that_is_plugged_in_on_the_spot_gets_the_tiers_too(site: Site, tmp_path: Path) -> None:
    (site.folder / "records" / "old").write_text("old")
    site.backup(full=True)
    site.start()
    (site.folder / "records" / "new").write_bytes(os.urandom(100_000))
    order(site)
    wait_copied(site)
    assert [row.target for row in tiers(site)] == ["offsite"]
    with attached(tmp_path / "disk.img") as device:
        prepared(site, device)  # as root does in another terminal; the daemon sees that it is there
        until(lambda: (LABEL, SAFE) in [(row.target, row.state) for row in tiers(site)], "it has the tier too")
        (site.folder / "records" / "newer").write_text("newer")
        until(lambda: site.at()["pending_files"] == 1, "it is noticed")
        vaultd("backup", config=site.file)

        def owed() -> int:
            with contextlib.closing(site.store()) as store:
                return store.backlog(store.target_id(LABEL), store.vault_id("records")).files

        until(lambda: owed() == 0, "what changes meanwhile goes there too")
        vaultd("evacuate", "end", config=site.file)
        told = vaultd("evacuate", "medium", "finish", LABEL, "--by", "张伟", config=site.file)
        assert "MAY BE UNPLUGGED" in told
        until(lambda: "is no target any more" in site.log.read_text(), "the daemon lets it go")
    until(lambda: not site.owes_ledger(), "it is on record")
    assert {one["target"] for one in site.entries("evacuation-tier") if one["state"] == SAFE} == {"offsite", LABEL}


def test_who_directs_the_playbook_the_approval_and_the_notices(site: Site, tmp_path: Path) -> None:
    mine, director = key(tmp_path, "director")
    site.file_tail = PEOPLE.format(director=director)
    site.write()
    (site.folder / "records" / "old").write_text("old")
    site.backup(full=True)
    site.start()
    document = order(site, "--category", "fire")
    one = document["evacuation"]
    assert (one["on_duty"], one["director"], one["playbook"]) == ("张伟", "王芳", "fire")
    wait_copied(site)
    until(lambda: site.entries("approval-request"), "an approval is owed for the order")
    (owed,) = site.entries("approval-request")
    assert (owed["action"], owed["late"], owed["roles"]) == ("evacuation-late", 1, ["director"])
    opened = [step for step in site.entries("playbook-step") if step["state"] == "open"]
    assert opened and all(step["of"] == one["id"] and step["text"] for step in opened)
    notices = [json.loads(file.read_text())["notice"] for file in (site.state / "notices" / "new").iterdir()]
    assert {name for notice in notices for name in notice["recipients"]} >= {"王芳", "张伟"}
    assert {notice["of"] for notice in notices if notice["kind"] == "evacuation"} == {one["id"]}
    # ticked, and shown
    vaultd(
        "evacuate", "tick", opened[0]["step"], "--of", one["id"], "--playbook", "fire", "--by", "张伟", config=site.file
    )
    page = vaultd("evacuate", "status", config=site.file)
    assert f"[x] {opened[0]['step']}" in page and f"[ ] {opened[1]['step']}" in page
    # it is ended by whom the policy names, and by nobody else
    vaultd("evacuate", "end", config=site.file, code=6)
    asked = re.search(r"vaultd approve (\d+)", said())
    assert asked is not None, said()
    number = asked[1]
    vaultd("approve", number, "--key", mine, "--as", "王芳", config=site.file)
    vaultd("evacuate", "end", config=site.file)
    until(lambda: [entry["state"] for entry in site.entries("evacuation")][-1] == "ended", "it is on record")
    ended = site.entries("evacuation")[-1]
    assert ended["request"]


def test_a_warning_whose_policy_says_so_starts_one(site: Site) -> None:
    site.file_tail = '[response.I]\nat_once = ["evacuate"]\n'
    site.write()
    (site.folder / "records" / "old").write_text("old")
    site.backup(full=True)
    site.start()
    (site.folder / "records" / "new").write_text("new")
    vaultd("warning", "issue", "I", "--category", "flood", config=site.file)
    until(lambda: site.entries("evacuation"), "an evacuation goes on")
    first = site.entries("evacuation")[0]
    assert (first["state"], first["category"], first["who"]) == ("ordered", "flood", "daemon")
    assert first["warning"].startswith("W-")
    wait_copied(site)
