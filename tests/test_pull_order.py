"""The order of a pull list: what is promised after each disk is true by brute force, and nothing is left behind."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pulling import carries, disk, every_of, inventory, leaf, mapped, need, over
from vaultd.disks.model import Bay, Disk, DiskMap, Health, Inventory, Kind, Layer, Unseen
from vaultd.pull.model import Label, Need, PullList
from vaultd.pull.order import compute

KEYS = "abcdefg"


def keys(made: PullList) -> str:
    return "".join(pull.disk.key for pull in made.pulls)


def line(made: PullList, vault: str) -> tuple[int | None, tuple[str, ...]]:
    found = next(one for one in made.vaults if one.need.vault == vault)
    return found.after, found.notes


@st.composite
def stacks(draw: st.DrawFn, depth: int = 2) -> Layer:
    """A stack with groups as a RAID of any kind has them."""
    if depth == 0 or draw(st.booleans()):
        return leaf(draw(st.sampled_from(KEYS)))
    below = draw(st.lists(stacks(depth=depth - 1), min_size=1, max_size=4))
    if draw(st.booleans()) and len(below) == 1:
        return over(draw(st.sampled_from((Kind.CRYPT, Kind.LOGICAL_VOLUME))), below[0])
    members = tuple(range(draw(st.integers(1, len(below)))))  # the others are not in sync
    cut = draw(st.integers(0, len(members) - 1))
    groups = [group for group in (members[:cut], members[cut:]) if group]
    return Layer(
        Kind.MD, "md0", "", tuple(below), tuple((draw(st.integers(1, len(group))), group) for group in groups)
    )  # fmt: skip


@st.composite
def machines(draw: st.DrawFn) -> tuple[Inventory, list[Need]]:
    tops = draw(st.lists(stacks(), min_size=1, max_size=4))
    maps = [mapped(f"v{number}", top) for number, top in enumerate(tops)]
    bays = draw(st.lists(st.sampled_from(("", "1", "2", "10", "2")), min_size=len(KEYS), max_size=len(KEYS)))
    disks = [disk(key, bay) for key, bay in zip(KEYS, bays, strict=True)]
    needs = [
        Need(f"v{number}", draw(st.integers(1, 3)), pending_bytes=draw(st.sampled_from((0, 0, 5, 10**9))))
        for number in range(len(tops))
    ]
    return inventory(disks, maps), needs


@settings(max_examples=300)
@given(machines())
def test_what_is_marked_complete_is_and_nothing_is_left_behind(made: tuple[Inventory, list[Need]]) -> None:
    found, needs = made
    pulls = compute(found, needs)
    order = [pull.disk.key for pull in pulls.pulls]
    assert sorted(order) == sorted(frozenset().union(*(every_of(one.top) for one in found.maps)))
    assert [pull.number for pull in pulls.pulls] == list(range(1, len(order) + 1))
    complete = set[str]()
    for at, pull in enumerate(pulls.pulls, 1):
        whole = {str(one.vault) for one in found.maps if carries(one.top, frozenset(order[:at]))}
        assert set(pull.completes) == whole - complete  # as soon as it is so, and not before
        complete = whole
        assert pull.vaults == tuple(line.need.vault for line in pulls.vaults if pull.number in line.disks)
    for one in pulls.vaults:
        assert one.after is None or one.need.vault in pulls.pulls[one.after - 1].completes


@settings(max_examples=300)
@given(machines())
def test_the_first_vault_is_carried_after_as_few_disks_as_can_be(made: tuple[Inventory, list[Need]]) -> None:
    found, needs = made
    pulls = compute(found, needs)
    first = pulls.vaults[0]
    assert first.need.priority == min(one.priority for one in needs)
    assert first.after == min(len(copy) for one in found.maps if one.vault == first.need.vault for copy in one.copies)


def test_priority_goes_first_then_what_is_not_safe_then_the_bay() -> None:
    maps = [mapped("low", leaf("a")), mapped("high", leaf("b")), mapped("urgent", leaf("c")), mapped("more", leaf("d"))]
    needs = [Need("low", 5), Need("high", 1), Need("urgent", 1, pending_files=3, pending_bytes=900), Need("more", 5)]
    made = compute(inventory([disk("a", "10"), disk("b", "1"), disk("c", "3"), disk("d", "9")], maps), needs)
    assert keys(made) == "cbad"
    assert (made.pulls[0].pending_files, made.pulls[0].pending_bytes) == (3, 900)
    assert [pull.completes for pull in made.pulls] == [("urgent",), ("high",), ("low",), ("more",)]


def test_a_mirror_takes_one_half_and_leaves_the_other_for_the_end() -> None:
    maps = [mapped("records", need(1, leaf("a"), leaf("b"))), mapped("other", leaf("c"))]
    made = compute(inventory([disk("a", "2"), disk("b", "1"), disk("c", "10")], maps), [Need("records", 1)])
    assert keys(made) == "bca"
    assert [pull.needed for pull in made.pulls] == [True, True, False]
    assert [pull.leaks for pull in made.pulls] == [("records",), ("other",), ("records",)]
    assert line(made, "records") == (1, ()) and line(made, "other") == (2, ())


def test_of_two_mirrors_the_half_is_chosen_that_is_out_already() -> None:
    maps = [mapped("first", leaf("b")), mapped("second", need(1, leaf("a"), leaf("b")))]
    made = compute(inventory([disk("a", "1"), disk("b", "2")], maps), [Need("first", 1), Need("second", 2)])
    assert keys(made) == "ba"
    assert made.pulls[0].completes == ("first", "second")


def test_of_two_mirrors_the_half_with_what_is_not_safe_goes_first() -> None:
    maps = [mapped("records", need(1, leaf("a"), leaf("b"))), mapped("late", leaf("b"))]
    needs = [Need("records", 1), Need("late", 9, pending_files=1, pending_bytes=1)]
    assert keys(compute(inventory([disk("a", "1"), disk("b", "2")], maps), needs)) == "ba"


def test_a_disk_that_is_gone_or_failing_is_not_counted_on() -> None:
    maps = [mapped("records", need(1, leaf("a"), leaf("b"), leaf("c")))]
    health = Health(False, 1)
    disks = [disk("a", "1", problems=("gone",)), disk("b", "2", health=health), disk("c", "3")]
    made = compute(inventory(disks, maps), [])
    assert keys(made)[0] == "c"
    assert {pull.disk.key: pull.notes for pull in made.pulls} == {"a": ("gone",), "b": ("failing",), "c": ()}


def test_what_is_encrypted_is_no_leak() -> None:
    inner = need(1, over(Kind.CRYPT, leaf("a")), leaf("b"))
    maps = [mapped("half", inner), mapped("whole", over(Kind.CRYPT, need(1, leaf("a"), leaf("b")))),
            mapped("drive", leaf("c"))]  # fmt: skip
    made = compute(inventory([disk("a"), disk("b"), disk("c", encryption="opal")], maps), [])
    assert {pull.disk.key: pull.leaks for pull in made.pulls} == {"a": (), "b": ("half",), "c": ()}


def test_what_is_left_over_begins_with_what_anybody_could_read() -> None:
    mirror = need(1, leaf("a"), leaf("b"), over(Kind.CRYPT, leaf("c")))
    made = compute(inventory([disk("a", "1"), disk("b", "3"), disk("c", "2")], [mapped("records", mirror)]), [])
    assert keys(made) == "abc"


def test_a_vault_without_a_copy_gets_all_its_disks_and_no_promise() -> None:
    broken = Layer(Kind.MD, "md0", "raid9", (leaf("a"), leaf("b")), ())
    partly = need(2, leaf("c"), Layer(Kind.REMOTE, "nfs"), kind=Kind.FOLDER)
    maps = [mapped("broken", broken), DiskMap(b"/srv/x", "partly", partly, frozenset("c"), (), False)]
    made = compute(inventory(map(disk, "abc"), maps), [Need("broken", 1), Need("partly", 2), Need("lost", 3)])
    assert keys(made) == "abc"
    assert all(pull.completes == () and pull.needed for pull in made.pulls)
    assert line(made, "broken") == (None, ("no-copy",))
    assert line(made, "partly") == (None, ("no-copy", "remote", "unsure"))
    assert line(made, "lost") == (None, ("no-map",))


def test_nothing_to_pull_is_no_carried_copy() -> None:
    """A map may say that no disk at all is enough, as of a vault in memory."""
    top = Layer(Kind.MEMORY, "tmpfs")
    made = compute(inventory([disk("a")], [DiskMap(b"/x", "fleeting", top, frozenset(), (frozenset(),), True)]), [])
    assert made.pulls == () and line(made, "fleeting") == (None, ("memory", "no-copy"))


def test_a_vault_in_two_places_is_complete_when_both_are() -> None:
    maps = [mapped("records", leaf("a")), mapped("records", leaf("b"))]
    made = compute(inventory([disk("a", "1"), disk("b", "2")], maps), [Need("records", 1)])
    assert [pull.completes for pull in made.pulls] == [(), ("records",)]


def test_a_key_in_the_tpm_is_said() -> None:
    top = replace(over(Kind.CRYPT, leaf("a")), notes=("tpm",))
    assert line(compute(inventory([disk("a")], [mapped("records", top)]), []), "records") == (1, ("tpm",))


def test_two_disks_in_one_bay_are_told() -> None:
    maps = [mapped("records", need(2, leaf("a"), leaf("b"))), mapped(None, leaf("c"))]
    made = compute(inventory([disk("a", "4"), disk("b"), disk("c", "4")], maps), [])
    assert {pull.disk.key: pull.notes for pull in made.pulls} == {"a": ("double-slot",), "b": ("no-bay",)}


def test_a_disk_that_nobody_has_seen_is_in_the_list_all_the_same() -> None:
    made = compute(inventory([], [mapped("records", leaf("a"))]), [])
    assert keys(made) == "a" and made.pulls[0].notes == ("no-bay", "unknown")


def test_bays_are_walked_along_by_number() -> None:
    stripe = need(3, leaf("a"), leaf("b"), leaf("c"))
    disks = [disk("a", "enclosure 1 slot 10"), disk("b", "enclosure 1 slot 9"), Disk("c", ("nvme0n1",), "", "", "", "",
             0, "nvme", bay=Bay("2", "path"))]  # fmt: skip
    assert keys(compute(inventory(disks, [mapped("records", stripe)]), [])) == "cba"


def test_labels_and_names_go_with_their_disks() -> None:
    found = inventory([disk("a"), disk("b")], [mapped("records", need(2, leaf("a"), leaf("b")))])
    made = compute(found, [Need("records", 1, "secret", "张伟")], {"b": Label("X-0007", "李娜")}, "archive-1")
    assert [pull.label for pull in made.pulls] == [None, Label("X-0007", "李娜")]
    assert made.number.startswith("PL-20260921-") and made.host == "archive-1"
    assert made.number != compute(found, [], host="archive-2").number


def test_behind_a_controller_all_disks_stand_for_each_volume() -> None:
    volume = disk("v", unseen=Unseen.CONTROLLER)
    hidden = [disk(key, bay, names=(), unseen=Unseen.CONTROLLER) for key, bay in (("x", "1"), ("y", "0"))]
    maps = [mapped("records", leaf("v")), mapped("other", need(1, leaf("a"), leaf("v")))]
    made = compute(inventory([volume, *hidden, disk("a", "2")], maps), [Need("records", 1)])
    assert keys(made) == "yxa"
    assert [pull.completes for pull in made.pulls] == [(), ("records", "other"), ()]
    assert [pull.notes for pull in made.pulls] == [("behind",), ("behind",), ()]
    assert made.pulls[0].leaks == ("records", "other")
    assert keys(compute(inventory([volume], maps[:1]), [])) == "v"  # whose disks no program told


def test_a_volume_whose_disks_are_not_known_says_so() -> None:
    made = compute(inventory([disk("v", "0", unseen=Unseen.CONTROLLER)], [mapped("records", leaf("v"))]), [])
    assert made.pulls[0].notes == ("unseen",)
