"""Snapshots that somebody took out of the repository: what only they held is protected anew, and an alert says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import Site, site_in


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as made:
        made.add_target()
        yield made


def test_a_full_snapshot_removed_by_hand_does_not_stop_protection(site: Site):
    vault = site.add_vault()
    (vault / "old").write_text("only in the snapshots that are removed")
    site.prepare()
    site.backup(full=True)
    (removed,) = site.snapshots(kind="full")
    site.restic("forget", removed["id"])
    (vault / "new").write_text("new")
    (outcome,) = site.backup(full=True)
    assert outcome.error is None
    site.assert_restorable()
    assert "snapshots-missing" in site.alerts()


def test_an_older_snapshot_may_go_without_a_word(site: Site):
    vault = site.add_vault()
    site.prepare()
    for number in range(2):
        (vault / "file").write_text(f"version {number}")
        site.backup(full=True)
    site.restic("forget", site.snapshots(kind="full")[0]["id"])
    (vault / "new").write_text("new")
    site.backup(full=True)
    site.assert_restorable()
    assert "snapshots-missing" not in site.alerts()
