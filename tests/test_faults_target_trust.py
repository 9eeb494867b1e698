"""A target that is not the one it was, or that refuses us: nothing is sent there, nothing is lost, a person is told.

Each fault comes to a daemon that had protected everything, and goes again.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import FaultSite, fault_site
from tests.site import until
from vaultd import targets
from vaultd.config import load
from vaultd.demo.sshd import make_key
from vaultd.restic import commands


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FaultSite]:
    with fault_site(tmp_path) as made:
        yield made


@pytest.fixture
def working(site: FaultSite) -> FaultSite:
    """A site whose daemon has protected everything."""
    site.ready()
    site.start()
    site.wait_quiet()
    return site


def change(site: FaultSite, name: str = "changed") -> None:
    Path(site.vaults["records"]["path"], name).write_text(name)


def assert_blocked(site: FaultSite, alert: str, exit_code: int, error: str) -> None:
    """A change meets the fault: alert, state, exit code, and the change stays pending."""
    change(site)
    site.wait_alert(alert)
    there = site.at()
    assert there["state"] == "blocked"
    assert there["owed"] > 0
    answer = site.cli("backup")
    assert answer.code == exit_code
    assert answer.error["code"] == error
    assert site.owed() > 0


def goes_on(site: FaultSite, alert: str) -> None:
    """The fault is mended."""
    site.retry()
    site.wait_cleared(alert)
    site.assert_nothing_lost()


def test_a_changed_host_key_is_refused_before_authentication_and_protection_goes_on_once_it_is_trusted(
    working: FaultSite,
) -> None:
    server, known_hosts = working.servers["offsite"], working.targets["offsite"]["known_hosts"]
    before, pinned = server.authentications_seen(), known_hosts.read_text()
    server.rekey()
    assert_blocked(working, "host-key", 6, "host-key")
    assert server.authentications_seen() == before, "not even the user's name has been told"
    assert known_hosts.read_text() == pinned, "nobody has learned the new key"
    until(lambda: len(working.entries("host-key-refused")) == 1, "the refusal is on record")
    assert working.cli("target", "check").code == 6
    refused = until(lambda: working.entries("host-key-refused")[1:], "that of the command too")
    assert (refused[0]["target"], "pinned is" in str(refused[0]["reason"])) == ("offsite", True)
    known_hosts.write_text(server.known_hosts_line())
    goes_on(working, "host-key")


def test_an_unknown_host_key_is_never_connected_to(site: FaultSite) -> None:
    server, known_hosts = site.servers["offsite"], site.targets["offsite"]["known_hosts"]
    site.ready()
    known_hosts.write_text("")
    before = server.connections_seen()
    answer = site.cli("backup")
    assert (answer.code, answer.error["code"]) == (6, "host-key")
    site.start()
    site.wait_alert("host-key")
    assert site.at()["state"] == "blocked"
    assert server.connections_seen() == before, "no connection is even opened"
    known_hosts.write_text(server.known_hosts_line())
    goes_on(site, "host-key")


def test_a_host_key_that_is_not_pinned_any_more_is_not_authenticated_to(working: FaultSite) -> None:
    server, known_hosts = working.servers["offsite"], working.targets["offsite"]["known_hosts"]
    before = server.authentications_seen()
    known_hosts.write_text("")
    assert_blocked(working, "host-key", 6, "host-key")
    assert server.authentications_seen() == before
    known_hosts.write_text(server.known_hosts_line())
    goes_on(working, "host-key")


def test_a_user_key_that_the_server_does_not_know_blocks_until_it_is_the_right_one(working: FaultSite) -> None:
    identity = working.targets["offsite"]["identity"]
    right = identity.rename(identity.with_name("right"))
    make_key(identity)
    assert_blocked(working, "authentication", 6, "authentication")
    identity.with_name("user_key.pub").unlink()  # ssh would believe it rather than the key beside it
    right.rename(identity)
    goes_on(working, "authentication")


def test_a_wrong_repository_password_blocks_and_is_not_in_any_output(working: FaultSite) -> None:
    password = working.targets["offsite"]["password_file"]
    right = password.read_text()
    password.write_text("mistaken-for-the-password\n")
    assert_blocked(working, "authentication", 6, "authentication")
    password.write_text(right)
    goes_on(working, "authentication")
    said = working.log.read_text() + working.cli("alert", "list", "--all").stderr
    assert "mistaken-for-the-password" not in said and right.strip() not in said


def test_a_repository_that_is_gone_is_not_made_anew_and_goes_on_when_it_is_back(working: FaultSite) -> None:
    repository = working.servers["offsite"].root / "repo"
    repository.rename(repository.with_name("elsewhere"))
    assert_blocked(working, "repository-missing", 1, "repository-missing")
    assert not repository.exists(), "a disk that is not mounted must not get a repository on its mount point"
    repository.with_name("elsewhere").rename(repository)
    goes_on(working, "repository-missing")


def test_a_repository_with_snapshots_of_another_host_is_refused(site: FaultSite) -> None:
    site.ready()
    site.host["name"] = "icu"
    site.write()
    assert site.cli("backup", "--full").code == 0
    theirs = {snapshot["id"] for snapshot in site.snapshots()}
    shutil.rmtree(site.state)
    site.host["name"] = "ward"
    site.ready()
    answer = site.cli("backup")
    assert (answer.code, answer.error["code"]) == (1, "repository-foreign")
    assert "icu" in answer.error["why"]
    site.start()
    site.wait_alert("repository-foreign")
    assert site.at()["state"] == "blocked"
    assert {snapshot["id"] for snapshot in site.snapshots()} == theirs, "nothing was written among theirs"
    shutil.rmtree(site.servers["offsite"].root / "repo")
    site.ready()
    goes_on(site, "repository-foreign")


def test_a_repository_replaced_by_another_under_a_running_daemon_gets_nothing(working: FaultSite) -> None:
    repository = working.servers["offsite"].root / "repo"
    first = repository.with_name("first")
    repository.rename(first)
    config = load(working.file)
    asyncio.run(commands.init(targets.repository(config, config.target_named("offsite"))))
    change(working)
    working.wait_alert("repository-foreign")
    assert working.at()["state"] == "blocked"
    answer = working.cli("backup")
    assert (answer.code, answer.error["code"]) == (1, "repository-foreign")
    assert list((repository / "snapshots").iterdir()) == [] == list((repository / "locks").iterdir())
    shutil.rmtree(repository)
    first.rename(repository)
    goes_on(working, "repository-foreign")


def test_changes_made_while_a_target_is_blocked_become_one_snapshot(working: FaultSite) -> None:
    server = working.servers["offsite"]
    server.rekey()
    before = len(working.snapshots_on_record())
    for number in range(4):
        change(working, f"change {number % 2}")
        until(lambda: working.at()["owed"] > 0, "noticed")
        working.retry()
    working.wait_alert("host-key")
    working.targets["offsite"]["known_hosts"].write_text(server.known_hosts_line())
    working.retry()
    working.wait_protected()
    assert len(working.snapshots_on_record()) == before + 1
    working.assert_nothing_lost()
