"""Files that the daemon may not read: named, exit code 3, nothing else held up, and protected once they can be read."""

from __future__ import annotations

import os
from pathlib import Path

from tests.filefaults import ROOT, WITHOUT_PRIVILEGE, bare_site, deletions, fulls, needs_user, versions
from tests.restoring import write
from tests.site import until

pytestmark = needs_user


def closed(path: Path) -> Path:
    """Nobody without privilege can use it."""
    if ROOT:
        os.chown(path, 4711, 4711)
    path.chmod(0)
    return path


def opened(path: Path, mode: int) -> None:
    """Everybody can read it."""
    path.chmod(mode)


def test_unreadable_files_are_named_with_exit_code_3_and_protected_once_readable(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        write(vault / "readable", "readable")
        write(vault / "closed file", "closed")
        write(vault / "closed folder" / "inside", "inside")
        write(vault / "listed only" / "inside", "inside")
        closed(vault / "closed file")
        closed(vault / "closed folder")
        closed(vault / "listed only").chmod(0o744)
        answer = site.cli("backup", "--full", prefix=WITHOUT_PRIVILEGE)
        assert answer.code == 3
        unread = {found["path"] for found in answer.outcome["unread"]}
        assert unread == {"closed file", "closed folder", "listed only/inside"}
        assert {"unread-files", "unread-folders"} <= site.alerts()
        assert site.content(answer.outcome["snapshot"]).keys() == {b"readable"}
        site.start(prefix=WITHOUT_PRIVILEGE)
        until(lambda: site.at()["state"] == "unread", f"the status says so: {site.at()}")
        assert site.at()["unread"] == 3
        write(vault / "later", "later")
        until(lambda: versions(site, b"later"), "other files are protected all the same")
        made = len(site.runs())
        write(vault / "later still", "later still")
        until(lambda: versions(site, b"later still"), "and again")
        until(lambda: site.at()["owed"] <= 3, "settled")
        assert len(site.runs()) - made <= 3, "what cannot be read is no reason for one snapshot after the other"
        opened(vault / "closed file", 0o644)
        opened(vault / "closed folder", 0o755)
        opened(vault / "listed only", 0o755)
        until(lambda: site.at()["owed"] == 0, f"protected once readable: {site.at()}")
        until(lambda: versions(site, b"closed folder/inside") and versions(site, b"listed only/inside"), "inside too")
        site.cli("backup")  # a scan that reads everything
        until(lambda: not site.alerts(), f"the alerts are over: {site.alerts()}")
        site.assert_nothing_lost()


def test_a_folder_that_is_closed_later_is_named_and_nothing_in_it_counts_as_deleted(tmp_path: Path):
    with bare_site(tmp_path) as (site, vault):
        write(vault / "readable", "readable")
        write(vault / "folder" / "inside", "inside")
        write(vault / "noexec" / "inside", "inside")
        site.start(prefix=WITHOUT_PRIVILEGE)
        site.wait_protected()
        closed(vault / "folder")
        closed(vault / "noexec").chmod(0o744)
        until(lambda: site.alert("unread-files"), "the alert")
        answer = site.cli("backup", "--full")
        assert answer.code == 3
        assert {"folder", "noexec/inside"} <= {found["path"] for found in answer.outcome["unread"]}
        assert deletions(site) == set()
        made = len(fulls(site))
        write(vault / "readable", "changed")
        until(lambda: len(fulls(site)) > made and site.at()["pending_files"] == 0, "protection goes on")
        assert deletions(site) == set()
        opened(vault / "folder", 0o755)
        opened(vault / "noexec", 0o755)
        until(lambda: site.at()["owed"] == 0, f"protected once readable: {site.at()}")
        assert site.alert("unread-files") is None
        assert deletions(site) == set()
        site.cli("backup")
        site.assert_nothing_lost()
