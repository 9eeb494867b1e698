"""Which snapshots make a restore: by vaultd's order and the moment asked for; and what is refused."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from vaultd.errors import ConfigError, VaultdError
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.restore import moment
from vaultd.restore.plan import Request, best, choose, relative_paths

FULL, EXPRESS, DUMP = SnapshotKind.FULL, SnapshotKind.EXPRESS, SnapshotKind.DUMP


def snapshot(
    order: int, kind: SnapshotKind = FULL, *, time: int | None = None, host: str = "h", dump: str = ""
) -> StoredSnapshot:
    return StoredSnapshot(
        f"{order:064x}", order, "v", kind, f"{order:012d}-0000000{order % 10}", order * 10 if time is None else time,
        host, b"/srv/v", "tree", 1, 100, "", dump,
    )  # fmt: skip


def orders(snapshots: list[StoredSnapshot], **request: object) -> list[int]:
    return [one.order for one in choose(snapshots, Request("v", **request)).snapshots]  # type: ignore[arg-type]


def test_latest_content_is_the_newest_full_and_the_express_ones_after_it() -> None:
    listed = [snapshot(5, EXPRESS), snapshot(1), snapshot(4), snapshot(2, EXPRESS), snapshot(6, EXPRESS), snapshot(3)]
    assert orders(listed) == [4, 5, 6]
    assert orders(listed, latest=False) == [4]
    assert orders(listed, at=39) == [3]
    assert orders(listed, at=50) == [4, 5]
    assert orders(listed, at=50, latest=False) == [4]


def test_order_counts_where_a_clock_was_set_back() -> None:
    listed = [snapshot(1, time=100), snapshot(2, time=50), snapshot(3, EXPRESS, time=60)]
    assert orders(listed) == [2, 3]
    assert orders(listed, at=100) == [2, 3]


def test_the_next_full_snapshot_and_the_dumps_are_told() -> None:
    listed = [
        snapshot(1),
        snapshot(2, DUMP, dump="a"),
        snapshot(3, DUMP, dump="a"),
        snapshot(4, DUMP, dump="b"),
        snapshot(5),
    ]
    plan = choose(listed, Request("v", at=35, latest=False))
    assert plan.next == 50
    assert [one.order for one in plan.dumps] == [3]
    assert plan.exact


def test_without_a_full_snapshot_express_ones_alone_make_latest_content() -> None:
    listed = [snapshot(2, EXPRESS), snapshot(1, EXPRESS)]
    assert orders(listed) == [1, 2]
    assert not choose(listed, Request("v")).exact
    with pytest.raises(VaultdError, match="no full snapshot yet") as caught:
        choose(listed, Request("v", latest=False))
    assert "--latest" in caught.value.hint


@pytest.mark.parametrize(
    ("listed", "request_", "said"),
    [
        ([], Request("v"), "no snapshot of it"),
        ([snapshot(5)], Request("other"), "no snapshot of it"),
        ([snapshot(5)], Request("v", at=49, latest=False), "no full snapshot up to the moment"),
        ([snapshot(5)], Request("v", snapshot="f"), "there is none"),
        ([snapshot(5), snapshot(6)], Request("v", snapshot="0"), "several begin like this"),
        ([snapshot(5)], Request("v", dump="x"), "there is none"),
        ([snapshot(5), snapshot(6, host="other")], Request("v"), "several hosts"),
        ([snapshot(5)], Request("v", host="other"), "no snapshot of it"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(listed: list[StoredSnapshot], request_: Request, said: str) -> None:
    with pytest.raises(VaultdError, match=said):
        choose(listed, request_, "offsite")


def test_one_snapshot_can_be_named_by_id_or_change_set() -> None:
    listed = [snapshot(5), snapshot(6, EXPRESS), snapshot(12)]
    assert orders(listed, snapshot="000000000006-") == [6]
    assert orders(listed, snapshot=f"{12:064x}") == [12]
    assert orders([*listed, snapshot(13, host="other")], host="h") == [12]


def test_of_several_targets_the_one_with_the_youngest_content_is_taken() -> None:
    old = choose([snapshot(1), snapshot(2)], Request("v"), "old")
    new = choose([snapshot(1), snapshot(3, EXPRESS)], Request("v"), "new")
    same = choose([snapshot(1), snapshot(3, EXPRESS)], Request("v"), "same")
    assert best([old, new, same]).target == "new"


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ([b"a/b"], (b"a/b",)), ([b"./a//b/"], (b"a/b",)), ([b"/srv/v/a"], (b"a",)), ([b"/srv/v"], ()), ([b"."], ()),
        ([b"a", b"a/b", b"a b"], (b"a", b"a b")), ([b"\xff\n*"], (b"\xff\n*",)), ([], ()), ([b"a", b"/srv/v/"], ()),
    ],
)  # fmt: skip
def test_paths_are_taken_as_typed(typed: list[bytes], wanted: tuple[bytes, ...]) -> None:
    assert relative_paths(typed, b"/srv/v") == wanted


@pytest.mark.parametrize("typed", [b"/etc", b"/srv/vv", b"../x", b"a/../../x", b"/"])
def test_paths_outside_the_vault_are_refused(typed: bytes) -> None:
    with pytest.raises(ConfigError, match="not inside the vault"):
        relative_paths([typed], b"/srv/v")


@pytest.fixture
def shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CST-8")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("shanghai")
@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-22 20:03:11Z", "1795377791999999999"), ("2026-11-23T04:03:11", "1795377791999999999"),
        ("2026-11-23 04:03:11.250", "1795377791250999999"), ("2026-11-22 12:03:11 -0800", "1795377791999999999"),
        ("2026-11-23 04:03", "1795377839999999999"), ("2026-11-23", "1795449599999999999"),
        ("2026-11-23 04:03:11.123456789+08:00", "1795377791123456789"),
    ],
)  # fmt: skip
def test_a_moment_is_local_time_and_its_missing_parts_mean_their_end(text: str, utc: str) -> None:
    assert moment.parse(text) == int(utc)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-11-22 25:00", "22.11.2026", "2026-11-22 20:03:11.", os.sep]
)
def test_other_texts_are_no_moments(text: str) -> None:
    with pytest.raises(ConfigError, match="not a moment"):
        moment.parse(text)
