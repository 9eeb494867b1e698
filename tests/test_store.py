"""The state database: catalog and backlog move together, and order never goes back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from vaultd.errors import StateError
from vaultd.model import FileKind, SnapshotKind, Stat
from vaultd.store import Acknowledgement, Bound, NewVersion, Retry, Store, bound_version

FOLDER = Stat(FileKind.DIRECTORY, 1, 0, 10, 10, 0o755, 0, 0)


def file_stat(inode: int = 5, size: int = 3, ctime: int = 100) -> Stat:
    return Stat(FileKind.FILE, inode, size, 50, ctime, 0o600, 0, 0)


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "state.db")
    yield opened
    opened.close()


def acknowledge(store: Store, vault: int, target: int, kind: SnapshotKind, **changes) -> None:
    values = {"change_set": f"{store.next_order():012d}-00000000", "snapshot": "s", "time": 1, "files": 1, "total": 1}
    values |= {"upto": store.seq(), "target": target, "vault": vault, "kind": kind}
    store.acknowledge(Acknowledgement(**{**values, **changes}), lambda _db, _versions: None)


def test_what_is_seen_is_pending_for_each_target(store: Store):
    vault, near, far = store.vault_id("v"), store.target_id("near"), store.target_id("far")
    store.observe(vault, [near, far], [(b"", FOLDER), (b"a", file_stat())])
    for target in (near, far):
        backlog = store.backlog(target, vault)
        assert (backlog.files, backlog.bytes, backlog.owed) == (1, 3, 2)  # the folder is owed, not unsafe


def test_express_makes_content_safe_and_full_takes_the_row_away(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")
    seen = file_stat()
    store.observe(vault, [target], [(b"a", seen)])
    bound = [Bound(b"a", seen, b"h" * 32)]
    acknowledge(store, vault, target, SnapshotKind.EXPRESS, bound=bound)
    assert store.backlog(target, vault).files == 0
    assert store.backlog(target, vault).owed == 1
    acknowledge(store, vault, target, SnapshotKind.FULL, settled=[b"a"])
    assert store.backlog(target, vault).owed == 0
    assert [(v.path, v.state, v.sha256) for v in store.versions(vault)] == [(b"a", "bound", b"h" * 32)]


def test_a_change_after_the_look_stays_pending(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")
    seen = file_stat()
    store.observe(vault, [target], [(b"a", seen)])
    upto = store.seq()
    store.observe(vault, [target], [(b"a", file_stat(ctime=200))])  # while restic runs
    acknowledge(store, vault, target, SnapshotKind.FULL, upto=upto, bound=[Bound(b"a", seen, b"h" * 32)])
    assert store.backlog(target, vault).files == 1
    entry = store.entries(vault, [b"a"])[b"a"]
    assert entry.sha256 is None  # the hash belongs to the older state


def test_the_hash_stays_with_metadata_changes_that_leave_ctime_and_goes_with_any_other(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")
    seen = file_stat()
    store.observe(vault, [target], [(b"a", seen)])
    acknowledge(store, vault, target, SnapshotKind.FULL, bound=[Bound(b"a", seen, b"h" * 32)])
    store.observe(vault, [target], [(b"a", seen)])
    assert store.entries(vault, [b"a"])[b"a"].sha256 == b"h" * 32
    store.observe(vault, [target], [(b"a", file_stat(ctime=101))])
    assert store.entries(vault, [b"a"])[b"a"].sha256 is None


def test_a_second_target_does_not_record_the_version_again(store: Store):
    vault, near, far = store.vault_id("v"), store.target_id("near"), store.target_id("far")
    seen = file_stat()
    store.observe(vault, [near, far], [(b"a", seen)])
    for target in (near, far):
        recorded = store.entries(vault, [b"a"])[b"a"].sha256 is not None
        acknowledge(store, vault, target, SnapshotKind.FULL, bound=[Bound(b"a", seen, b"h" * 32, recorded)])
    assert len(list(store.versions(vault))) == 1
    assert store.backlog(far, vault).owed == 0


def test_a_gone_folder_takes_everything_below_along(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")
    names = [b"d/a", b"d/e/b", b"d0"]
    store.observe(vault, [target], [(b"d", FOLDER), (b"d/e", FOLDER), *((name, file_stat()) for name in names)])
    acknowledge(store, vault, target, SnapshotKind.FULL, bound=[Bound(n, file_stat(), b"h" * 32) for n in names])
    store.observe(vault, [target], [], [b"d"])
    rows = {row.path: row.kind for row in store.pending_rows(target, vault)}
    assert rows == {b"d": "-", b"d/a": "-", b"d/e": "-", b"d/e/b": "-"}
    assert set(store.entries(vault, [*names, b"d"])) == {b"d0"}


def test_a_folder_that_became_a_file_loses_its_children(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")
    store.observe(vault, [target], [(b"d", FOLDER), (b"d/a", file_stat())])
    store.observe(vault, [target], [(b"d", file_stat(inode=9))])
    rows = {row.path: row.kind for row in store.pending_rows(target, vault)}
    assert rows == {b"d": "f", b"d/a": "-"}


def test_deletions_are_recorded_once_and_only_of_known_files(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")
    seen = file_stat()
    store.observe(vault, [target], [(b"a", seen)])
    acknowledge(store, vault, target, SnapshotKind.FULL, bound=[Bound(b"a", seen, b"h" * 32)])
    for _time in range(2):
        acknowledge(store, vault, target, SnapshotKind.FULL, deleted=[b"a", b"never-seen"])
    assert [(v.path, v.state) for v in store.versions(vault)] == [(b"a", "bound"), (b"a", "deleted")]


def test_a_path_set_aside_is_not_due_but_stays_pending(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")
    store.observe(vault, [target], [(b"a", file_stat())])
    later = 2**62
    acknowledge(store, vault, target, SnapshotKind.EXPRESS, retry=[Retry(b"a", "in-motion", later)])
    backlog = store.backlog(target, vault)
    assert (backlog.files, backlog.owed, backlog.in_motion) == (0, 1, 1)
    assert backlog.unsafe_since is None  # protected as it was at one moment: not red for ever


def test_a_file_that_was_unread_is_due_at_once_when_it_changes(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")
    for problem, due in (("unread", 1), ("in-motion", 0)):
        store.observe(vault, [target], [(b"a", file_stat())])
        acknowledge(store, vault, target, SnapshotKind.EXPRESS, retry=[Retry(b"a", problem, 2**62)])
        assert store.backlog(target, vault).files == 0
        store.observe(vault, [target], [(b"a", file_stat(ctime=101))])
        assert store.backlog(target, vault).files == due


def test_names_of_any_bytes_and_a_sibling_that_sorts_between(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")
    names = [b"\xc4\xe3", b"d/\n'\"-", b"d!x", b"d-", b"d/\xff"]
    store.observe(vault, [target], [(b"d", FOLDER), *((name, file_stat()) for name in names)])
    store.observe(vault, [target], [], [b"d"])
    assert set(store.entries(vault, names)) == {b"\xc4\xe3", b"d!x", b"d-"}


def test_the_order_never_goes_back(store: Store):
    first = store.next_order()
    store.raise_order(500)
    store.raise_order(3)
    assert first < store.next_order() == 501


def test_a_transaction_that_fails_leaves_nothing(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")

    def seen():
        yield b"a", file_stat()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        store.observe(vault, [target], seen())
    assert store.pending_rows(target, vault) == []
    assert store.entries(vault, [b"a"]) == {}


def test_a_target_that_is_new_is_owed_everything(store: Store):
    vault, near = store.vault_id("v"), store.target_id("near")
    store.observe(vault, [near], [(b"", FOLDER), (b"d", FOLDER), (b"d/a", file_stat())])
    far = store.target_id("far")
    assert store.mark_all(far, vault) == 3
    assert {row.path for row in store.pending_rows(far, vault)} == {b"", b"d", b"d/a"}


def test_a_database_of_a_newer_vaultd_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "state.db"
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StateError, match="newer"):
        Store(path)
    assert path.read_bytes() == before


def test_a_damaged_database_is_an_error_with_a_hint(tmp_path: Path):
    path = tmp_path / "state.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StateError) as caught:
        Store(path)
    assert caught.value.hint


def test_reading_only_never_makes_a_database(tmp_path: Path):
    with pytest.raises(StateError):
        Store(tmp_path / "state.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_ours_only_near_one_of_our_dead_runs(store: Store):
    vault, target = store.vault_id("v"), store.target_id("t")
    store.begin_run("r", target, vault, SnapshotKind.FULL)
    store.set_process("r", 4321, 1, "boot")
    started = store.runs()[0].started
    assert not store.is_our_dead_run(4321, started)  # it still runs
    store.end_run("r", "failed", 1.0)
    assert store.is_our_dead_run(4321, started)
    assert not store.is_our_dead_run(4322, started)
    assert not store.is_our_dead_run(4321, started - 3600 * 10**9)
    assert not store.is_our_dead_run(4321, started + 3600 * 10**9)


def test_an_alert_stands_once_and_comes_again_after_it_was_cleared(store: Store):
    assert store.alerts.raise_("overdue", vault="v", detail={"seconds": 5})
    assert not store.alerts.raise_("overdue", vault="v", detail={"seconds": 9})
    (alert,) = store.alerts.list()
    assert (alert.times, alert.detail) == (2, {"seconds": 9})
    assert store.alerts.clear("overdue", vault="v")
    assert not store.alerts.clear("overdue", vault="v")
    assert store.alerts.raise_("overdue", vault="v")


def test_a_mass_change_ends_when_somebody_acknowledges_it(store: Store):
    store.alerts.raise_("mass-change", vault="v")
    (alert,) = store.alerts.list()
    assert store.alerts.acknowledge(alert.id, "uid 0")
    assert store.alerts.list() == []
    (past,) = store.alerts.list(open_only=False)
    assert past.acknowledged_by == "uid 0"


def test_what_is_staged_counts_with_its_acknowledgement_and_not_before(store: Store):
    vault, target, run = store.vault_id("v"), store.target_id("t"), "000000000009-00000000"
    names = [b"d/%d" % number for number in range(6)]
    store.observe(vault, [target], [(b"d", FOLDER), *((name, file_stat(inode=9)) for name in names)])
    staged = [bound_version(Bound(name, file_stat(inode=9), name * 8)) for name in names]
    store.stage(run, vault, 0, staged[:2])
    store.stage(run, vault, 2, staged[2:])
    store.stage("000000000010-00000000", vault, 0, staged)  # another target's run at the same time
    assert list(store.versions(vault)) == [] and store.backlog(target, vault).files == 6
    store.unstage(run, [1, 4])
    upto = store.seq()
    store.observe(vault, [target], [(names[5], file_stat(inode=10))])  # it changed while the snapshot was made
    more: list[NewVersion] = []
    done = Acknowledgement(run, "s", target, vault, SnapshotKind.FULL, 1, 6, 6, upto, bound=[
        Bound(names[1], file_stat(inode=9), b"late" * 8)
    ])  # fmt: skip
    store.acknowledge(done, lambda _db, versions: more.extend(versions) or 100)
    assert [one.path for one in more] == [names[1]]
    rows = store.database.reader().execute("SELECT path, entry, sha256 FROM version ORDER BY number").fetchall()
    assert rows == [
        (names[0], 100, names[0] * 8), (names[2], 101, names[2] * 8), (names[3], 102, names[3] * 8),
        (names[5], 103, names[5] * 8), (names[1], 104, b"late" * 8),
    ]  # fmt: skip
    assert store.snapshots()[0].change_set == run
    assert store.database.reader().execute("SELECT entry FROM snapshot").fetchone() == (105,)
    bound = {path: entry.sha256 for path, entry in store.entries(vault, names).items()}
    assert bound == {names[0]: names[0] * 8, names[1]: b"late" * 8, names[2]: names[2] * 8, names[3]: names[3] * 8,
                     names[4]: None, names[5]: None}  # fmt: skip
    left = {row.path for row in store.pending_rows(target, vault)}
    assert left == {b"d", names[4], names[5]}


def test_what_is_staged_for_a_run_that_fails_is_forgotten(store: Store):
    vault, target, run = store.vault_id("v"), store.target_id("t"), "000000000009-00000000"
    store.observe(vault, [target], [(b"a", file_stat())])
    store.stage(run, vault, 0, [bound_version(Bound(b"a", file_stat(), b"h" * 32))])
    store.unstage(run)
    store.acknowledge(
        Acknowledgement(run, "s", target, vault, SnapshotKind.FULL, 1, 0, 0, store.seq()), lambda _db, _versions: None
    )
    assert list(store.versions(vault)) == [] and store.backlog(target, vault).files == 1


def test_an_acknowledgement_is_found_by_keys_however_large_the_catalog_is(store: Store):
    """SQLite must begin with what is staged: the other way round, it would look at every file of a million."""
    statements: list[str] = []
    vault, target, run = store.vault_id("v"), store.target_id("t"), "000000000009-00000000"
    store.stage(run, vault, 0, [bound_version(Bound(b"a", file_stat(), b"h" * 32))])
    with store.database.write() as db:
        db.set_trace_callback(statements.append)
    store.acknowledge(
        Acknowledgement(run, "s", target, vault, SnapshotKind.FULL, 1, 0, 0, 5), lambda _db, _versions: None
    )
    with store.database.write() as db:
        db.set_trace_callback(None)
        for start, wanted in (
            ("UPDATE file", "SEARCH file USING PRIMARY KEY (dir=? AND name=?)"),
            ("DELETE FROM pending", "SEARCH pending USING PRIMARY KEY (target=? AND vault=? AND path=?)"),
        ):
            (statement,) = {one for one in statements if one.startswith(start)}
            plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
            assert wanted in plan, plan
