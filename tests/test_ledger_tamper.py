"""One change to a finished log, at random: each is refused. Nothing but a covered partial tile may go.

The log is changed in place, verified, and put back. How many cases of each kind ran is counted and asserted.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests import logs
from vaultd.ledger import canonical
from vaultd.ledger.folder import join_bundle, split_bundle
from vaultd.ledger.note import Note, parse
from vaultd.ledger.tiles import ENTRIES, Tile, tiles_of
from vaultd.ledger.verify import Code, Finding, verify

SIZES = (1, 40, 256, 300, 303, 511, 520, 600)
ROTATED = 300

Files = Mapping[str, bytes]
Change = dict[str, bytes | None]


@dataclass(frozen=True)
class Finished:
    """The log, its files, what they were at each checkpoint, and its entries."""

    made: logs.Made
    files: Files
    states: Mapping[int, Files]
    entries: Sequence[bytes]

    @property
    def covered(self) -> list[str]:
        """Partial tiles whose full ones are there: vaultd removes them, other programs may leave them."""
        full = {tile.path for tile in tiles_of(SIZES[-1]) if tile.width == 256}
        return [name for name in self.files if (match := re.fullmatch(r"(.*)\.p/\d+", name)) and match[1] in full]

    @property
    def needed(self) -> list[str]:
        return sorted(self.files.keys() - set(self.covered))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished") / "ledger"
    made, states = logs.make(folder), dict[int, Files]()
    for size in SIZES[1:]:
        made.seal(size)
        states[size] = logs.content(folder)
        if size == ROTATED:
            made.rotate()
    entries = made.entries()
    logs.put(folder, logs.tiles(entries, SIZES))  # the covered ones, which the writer has removed, come back
    found = Finished(made, logs.content(folder), states, entries)
    assert len(found.covered) == 10
    assert verify(folder).size == SIZES[-1]
    return found


def refused(finished: Finished, change: Change, outside: Sequence[bytes] = ()) -> Finding | None:
    """What the verifier says of the log with a change; the log is as it was afterwards."""
    folder = finished.made.folder
    try:
        logs.put(folder, change)
        verify(folder, outside=outside)
    except Finding as finding:
        assert str(finding)
        return finding
    finally:
        logs.put(folder, {name: finished.files.get(name) for name in change})
    return None


Make = Callable[[st.DataObject, Finished], Change]
KINDS: dict[str, tuple[int, Make]] = {}


def kind(cases: int) -> Callable[[Make], Make]:
    """A kind of change, and how many cases of it are tried. What changes nothing does not count."""

    def add(make: Make) -> Make:
        KINDS[make.__name__] = (cases, make)
        return make

    return add


def any_file(data: st.DataObject, finished: Finished, under: str = "") -> str:
    return data.draw(st.sampled_from([name for name in sorted(finished.files) if name.startswith(under)]))


@kind(700)
def bit_flipped(data: st.DataObject, finished: Finished) -> Change:
    name = any_file(data, finished)
    content = bytearray(finished.files[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    return {name: bytes(content)}


@kind(100)
def file_truncated(data: st.DataObject, finished: Finished) -> Change:
    name = any_file(data, finished)
    return {name: finished.files[name][: data.draw(st.integers(0, len(finished.files[name]) - 1))]}


@kind(100)
def bytes_added(data: st.DataObject, finished: Finished) -> Change:
    name = any_file(data, finished)
    content, more = finished.files[name], data.draw(st.binary(min_size=1, max_size=40))
    at = data.draw(st.sampled_from([0, len(content), len(content) // 2]))
    return {name: content[:at] + more + content[at:]}


@kind(200)
def files_swapped(data: st.DataObject, finished: Finished) -> Change:
    one, other = any_file(data, finished), any_file(data, finished)
    return {one: finished.files[other], other: finished.files[one]}


@kind(200)
def file_copied_over_another(data: st.DataObject, finished: Finished) -> Change:
    return {any_file(data, finished): finished.files[any_file(data, finished)]}


@kind(100)
def tile_replaced(data: st.DataObject, finished: Finished) -> Change:
    name = any_file(data, finished, data.draw(st.sampled_from(["tile/0/", "tile/1/"])))
    content = bytearray(finished.files[name])
    at = data.draw(st.integers(0, len(content) // 32 - 1)) * 32
    content[at : at + 32] = data.draw(st.sampled_from([bytes(32), bytes(content[:32]), bytes(content[-32:])]))
    return {name: bytes(content)}


@kind(200)
def file_added(data: st.DataObject, finished: Finished) -> Change:
    number, width = data.draw(st.integers(0, 700)), data.draw(st.integers(0, 257))
    level = data.draw(st.sampled_from(["entries", "0", "1", "2", "63", "64", "00", "x"]))
    index = data.draw(st.sampled_from(["000", "001", "002", "003", "x000/001", "x001/000", "0", "999"]))
    where = data.draw(
        st.sampled_from(
            [
                f"checkpoints/{number}", f"checkpoints/0{number}", f"keys/{number}", "keys/root.old", "checkpoint.old",
                f"tile/{level}/{index}", f"tile/{level}/{index}.p/{width}", f"tile/{level}/{index}.p/0{width}",
                f"tile/{index}", "tile/README", f"new/{number}", f"checkpoints/{number}.x", f"wal/{number}", "wal/x.a",
            ]
        )
    )  # fmt: skip
    nearest = [name for name in sorted(finished.files) if name.split("/")[:2] == where.split("/")[:2]]
    content = finished.files[data.draw(st.sampled_from(nearest))] if nearest else b""
    there = where in finished.files or (finished.made.folder / where).is_dir()
    return {} if there else {where: data.draw(st.sampled_from([content, content[:32], b""]))}


@kind(50)
def padding_bits_changed(data: st.DataObject, finished: Finished) -> Change:
    """Base64 that ends with ``=`` has bits that mean nothing: most decoders take any."""
    names = [name for name in sorted(finished.files) if not name.startswith("tile/") and b"=\n" in finished.files[name]]
    name = data.draw(st.sampled_from(names))
    text = finished.files[name]
    at = data.draw(st.sampled_from([match.start() for match in re.finditer(b"[^=]=\n", text)]))
    start = max(text.rfind(b" ", 0, at), text.rfind(b"\n", 0, at)) + 1
    same = [
        letter for letter in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        if letter != text[at] and base64.b64decode(text[start:at] + bytes([letter]) + b"=")
        == base64.b64decode(text[start : at + 2])
    ]  # fmt: skip
    assert len(same) == 3
    return {name: text[:at] + bytes([data.draw(st.sampled_from(same))]) + text[at + 1 :]}


@kind(60)
def signatures_changed(data: st.DataObject, finished: Finished) -> Change:
    names = [
        name for name in sorted(finished.files) if name == "checkpoint" or name.startswith(("checkpoints/", "keys/"))
    ]
    name = data.draw(st.sampled_from([name for name in names if name != "keys/root"]))
    note = parse(finished.files[name])
    others = [logs.new_key(), finished.made.root, *(signer for _first, signer in finished.made.signers)]
    line = data.draw(st.sampled_from(others)).sign(note.text)
    lines = data.draw(
        st.sampled_from(
            [(line,), (*note.signatures, line), (line, *note.signatures), note.signatures[::-1], note.signatures * 2]
        )
    )
    return {name: Note(note.text, tuple(lines)).encoded()}


def with_other_entries(finished: Finished, entries: Sequence[bytes], *, tiles: bool) -> Change:
    """The log with other entries: in its bundles only, or with all tiles made anew, so that only signatures tell."""
    made = logs.tiles(entries, [size for size in SIZES if size <= len(entries)])
    names = {*made, *(name for name in finished.files if name.startswith("tile/"))}
    return {name: made.get(name) for name in names if tiles or name.startswith("tile/entries/")}


def renumbered(entries: Sequence[bytes]) -> list[bytes]:
    """Each at its place, as if it had always been there."""
    return [
        entry if canonical.decode(entry)["seq"] == index else logs.changed(entry, seq=index)
        for index, entry in enumerate(entries)
    ]


@kind(240)
def entries_changed(data: st.DataObject, finished: Finished) -> Change:
    entries = list(finished.entries)
    one, other = (data.draw(st.integers(1, len(entries) - 1)) for _ in range(2))
    how = data.draw(st.sampled_from(["delete", "swap", "duplicate", "move", "date", "field", "salt"]))
    if how == "delete":
        del entries[one]
    elif how == "swap":
        entries[one], entries[other] = entries[other], entries[one]
    elif how == "duplicate":
        entries.insert(other, entries[one])
    elif how == "move":
        entries.insert(other, entries.pop(one))
    elif how == "date":
        entries[one] = logs.changed(entries[one], t=canonical.decode(entries[other])["t"][:-2] + "0Z")
    elif how == "field":
        entries[one] = logs.changed(entries[one], vault="another")
    else:
        entries[one] = logs.changed(entries[one], salt="00" * 16)
    if data.draw(st.booleans()):
        entries = renumbered(entries)
    return with_other_entries(finished, entries, tiles=data.draw(st.booleans()))


@kind(60)
def one_bundle_changed(data: st.DataObject, finished: Finished) -> Change:
    name = any_file(data, finished, "tile/entries/")
    entries = list(split_bundle(finished.files[name], name))
    one, other = (data.draw(st.integers(0, len(entries) - 1)) for _ in range(2))
    entries[one], entries[other] = entries[other], entries[one]
    return {name: join_bundle(entries if data.draw(st.booleans()) else entries[:-1])}


@pytest.mark.parametrize("name", KINDS)
def test_no_change_passes(finished: Finished, name: str) -> None:
    cases, make = KINDS[name]
    tried = 0

    @settings(max_examples=cases, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def change(data: st.DataObject) -> None:
        nonlocal tried
        found = {one: value for one, value in make(data, finished).items() if value != finished.files.get(one)}
        assume(found)
        tried += 1
        assert refused(finished, found) is not None, sorted(found)

    change()
    assert tried >= cases
    assert verify(finished.made.folder).size == SIZES[-1]  # each change was taken back


def test_two_thousand_changes_are_tried() -> None:
    assert sum(cases for cases, _make in KINDS.values()) >= 2_000


def test_no_file_may_go(finished: Finished) -> None:
    assert len(finished.needed) == 22
    for name in finished.needed:
        finding = refused(finished, {name: None})
        assert finding is not None, name


@settings(max_examples=60, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_covered_partial_tiles_may_go(finished: Finished, data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(finished.covered), min_size=1))
    assert refused(finished, dict.fromkeys(gone)) is None


def older(finished: Finished) -> Iterator[tuple[int, int]]:
    """Each state of the folder with each checkpoint that was signed later."""
    for size in finished.states:
        for later in SIZES:
            if later > size:
                yield size, later


def test_an_older_state_of_the_whole_folder_holds_unless_a_later_checkpoint_is_outside(finished: Finished) -> None:
    tried = 0
    waiting = {f"wal/{SIZES[-1]}.{copy}": b"" for copy in "ab"}  # not protected: whoever rolls back removes them
    for size, later in older(finished):
        state = finished.states[size]
        back: Change = {name: state.get(name) for name in finished.files.keys() | state.keys()} | dict.fromkeys(waiting)
        try:
            assert refused(finished, back) is None
            assert refused(finished, back, [finished.made.notes[size]]) is None
            finding = refused(finished, back, [finished.made.notes[1], finished.made.notes[later]])
        finally:
            logs.put(finished.made.folder, waiting)
        assert finding is not None
        # A state from before the change of the key does not know the key that signed since.
        code = Code.OUTSIDE_UNKNOWN if size <= ROTATED < later else Code.OUTSIDE_LARGER
        assert (finding.code, finding.outside) == (code, 1)
        tried += 1
    assert tried == 21


@settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_history_forged_with_the_real_keys_holds_unless_a_checkpoint_of_the_true_one_is_outside(
    finished: Finished, data: st.DataObject
) -> None:
    plain = [index for index, one in enumerate(finished.entries) if b'"vault":"records"' in one]
    index = data.draw(st.sampled_from(plain))
    entries = list(finished.entries)
    entries[index] = logs.changed(entries[index], vault="another")
    change: Change = dict(logs.forged(finished.made, entries, SIZES))
    assert refused(finished, change) is None
    size = data.draw(st.sampled_from([size for size in SIZES if size > index]))
    finding = refused(finished, change, [finished.made.notes[1], finished.made.notes[size]])
    assert finding is not None
    assert (finding.code, finding.outside) == (Code.OUTSIDE_DIFFERS, 1)


def test_what_is_forged_is_forged_well(finished: Finished) -> None:
    """Of the true entries it makes the true files: that what it makes else is refused has no other reason."""
    again = logs.forged(finished.made, finished.entries, SIZES)
    assert again == {name: value for name, value in finished.files.items() if not name.startswith("keys/")}
    assert Tile(ENTRIES, 2, 88).path in again
