"""Mirrors against a real OpenSSH server: published, read back first, never overwritten; what does not fit is told."""

from __future__ import annotations

import os

import pytest

from tests.anchoring import Ledger
from vaultd.anchor import kept, mirror, place, spacing
from vaultd.anchor.faults import InconsistentError, ShorterError
from vaultd.errors import LedgerStoppedError, RepositoryError, TargetReadOnlyError, UnreachableError, VaultdError
from vaultd.ledger import checkpoint
from vaultd.ledger import note as notes
from vaultd.ledger.log import Log


@pytest.fixture
def ledger(config):
    return Ledger(config.ledger_folder)


@pytest.fixture
def there(offsite):
    return offsite.root / ".vaultd" / "checkpoints" / "ward.example%2Frecords"


def test_a_checkpoint_is_published_beside_the_repository_and_a_record_is_kept(config, target, ledger, there):
    done = mirror.publish(config, target, ledger.folder, ledger.note())
    assert (done.target, done.size, done.new) == ("offsite", 1, True)
    assert done.before.newest is None and done.before.anchored is None
    assert [path.name for path in there.iterdir()] == ["1"]
    assert (there / "1").read_bytes() == ledger.note()
    record = kept.file_of(ledger.folder, kept.MIRROR, "offsite", 1)
    assert record.read_bytes() == ledger.note() and record.stat().st_mode & 0o777 == 0o600

    again = mirror.publish(config, target, ledger.folder, ledger.note())
    assert (again.new, again.before.newest.size) == (False, 1)

    ledger.grow(300)
    done = mirror.publish(config, target, ledger.folder, ledger.note())
    assert done.new and done.size == ledger.size and done.before.newest.size == 1
    assert sorted(path.name for path in there.iterdir()) == ["1", str(ledger.size)]
    assert mirror.newest_seen(config, target, ledger.folder).size == ledger.size


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("repo", ""), ("repo/", ""), ("a/b/repo", "a/b"), ("/srv/x/repo//", "/srv/x"), ("/repo", "/"), (".", "./.."),
        ("..", "../.."), ("a/..", "./.."), ("./repo", ""),
    ],
)  # fmt: skip
def test_beside_the_repository_is_the_folder_that_holds_its_folder(make_target, path, where):
    assert place.base(make_target(path=path)) == where


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("ward.example/records", "ward.example%2Frecords"), ("..", "%2E."), (".", "%2E"), ("a b%", "a%20b%25"),
        ("病案室/一", "%E7%97%85%E6%A1%88%E5%AE%A4%2F%E4%B8%80"), ("a\\'\"$`*", "a%5C%27%22%24%60%2A"),
    ],
)  # fmt: skip
def test_a_logs_name_is_one_harmless_component(origin, name):
    assert place.escaped(origin) == name


def test_a_very_long_name_still_fits_into_a_file_system():
    assert place.escaped("病" * 100) != place.escaped("病" * 101)
    assert len(place.escaped("病" * 100)) < 256


def test_an_absolute_path_and_several_folders_work(config, make_target, ledger, offsite):
    target = make_target(path=f"{offsite.root}/deep/er/repo")
    mirror.publish(config, target, ledger.folder, ledger.note())
    assert (offsite.root / "deep/er/.vaultd/checkpoints/ward.example%2Frecords/1").is_file()


def test_another_log_at_the_same_target_is_none_of_our_business(config, target, ledger, offsite, tmp_path):
    other = Ledger(tmp_path / "other", "theatre.example/records")
    other.grow(50)
    mirror.publish(config, target, other.folder, other.note())
    assert mirror.publish(config, target, ledger.folder, ledger.note()).before.newest is None


def test_a_larger_one_there_says_that_our_log_is_too_short_and_proves_it(config, target, ledger, there, tmp_path):
    old = ledger.copied(tmp_path / "restored")
    ledger.grow()
    mirror.publish(config, target, ledger.folder, ledger.note())
    before = (there / str(ledger.size)).read_bytes()
    for does in (
        lambda: mirror.publish(config, target, old.folder, old.note()),
        lambda: mirror.newest_seen(config, target, old.folder),
    ):
        with pytest.raises(ShorterError) as caught:
            does()
        error = caught.value
        assert error.size == ledger.size and error.note == before and error.exit_code == 4
        assert isinstance(error, VaultdError) and "ledger continue" in error.hint
        with pytest.raises(LedgerStoppedError):  # what the ledger's writer makes of it
            Log(old.path, old.signer, known=error.checkpoint)
    assert [path.name for path in there.iterdir()] == [str(ledger.size)]


def test_what_the_daemon_publishes_while_another_process_looks_is_no_alarm(
    config, target, ledger, monkeypatch
):  # fmt: skip
    listing = place.listing

    def late(session, folder, **options):
        monkeypatch.undo()
        ledger.grow()
        mirror.publish(config, target, ledger.folder, ledger.note())
        return listing(session, folder, **options)

    monkeypatch.setattr(place, "listing", late)
    assert mirror.look(config, target, ledger.folder).newest.size == ledger.size > 1


def test_another_history_of_the_same_size_is_told_and_not_overwritten(config, target, ledger, there, tmp_path):
    fork = ledger.copied(tmp_path / "fork")
    fork.grow(word="another")
    ledger.grow()
    assert fork.size == ledger.size
    mirror.publish(config, target, fork.folder, fork.note())
    with pytest.raises(InconsistentError) as caught:
        mirror.publish(config, target, ledger.folder, ledger.note())
    assert not isinstance(caught.value, ShorterError)
    assert caught.value.checkpoint == checkpoint.parse(notes.parse(fork.note()).text)
    assert (there / str(fork.size)).read_bytes() == fork.note()
    assert kept.sizes(ledger.folder, kept.MIRROR, "offsite") == []


def test_an_older_one_of_another_history_is_found_on_first_sight(config, target, ledger, there, tmp_path):
    fork = ledger.copied(tmp_path / "fork")
    fork.grow(word="another")
    for _number in range(3):
        ledger.grow()
    mirror.publish(config, target, ledger.folder, ledger.note())
    (there / str(fork.size)).write_bytes(fork.note())
    with pytest.raises(InconsistentError) as caught:
        mirror.publish(config, target, ledger.folder, ledger.note())
    assert caught.value.checkpoint is not None and caught.value.checkpoint.size == fork.size


def test_what_was_seen_before_is_read_again_only_on_request(config, target, ledger, there, tmp_path):
    mirror.publish(config, target, ledger.folder, ledger.note())
    ledger.grow()
    mirror.publish(config, target, ledger.folder, ledger.note())
    (there / "1").write_bytes(b"rewritten\n")
    assert mirror.look(config, target, ledger.folder).newest.size == ledger.size
    with pytest.raises(InconsistentError):
        mirror.look(config, target, ledger.folder, everything=True)


@pytest.mark.parametrize("name", ["1", "2", "9999", "9223372036854775807"])
@pytest.mark.parametrize("content", ["junk", "foreign", "empty", "huge"])
def test_what_our_key_has_not_signed_is_told_but_stops_nothing(
    config, target, ledger, there, tmp_path, name, content
):  # fmt: skip
    other = Ledger(tmp_path / "other", ledger.origin)  # the same name, another key
    other.grow()
    there.mkdir(parents=True)
    junk = {"junk": b"\xff\0junk", "foreign": other.note(), "empty": b"", "huge": b"x" * ((1 << 20) + 1)}[content]
    (there / name).write_bytes(junk)
    with pytest.raises((InconsistentError, RepositoryError)) as caught:
        mirror.publish(config, target, ledger.folder, ledger.note())
    if content != "huge":
        assert isinstance(caught.value, InconsistentError) and caught.value.checkpoint is None
    assert [path.name for path in there.iterdir()] == [name] and (there / name).read_bytes() == junk


def test_a_checkpoint_under_another_size_is_not_taken_for_it(config, target, ledger, there):
    ledger.grow()
    there.mkdir(parents=True)
    (there / "1").write_bytes(ledger.note())
    with pytest.raises(InconsistentError, match="it is the checkpoint of"):
        mirror.publish(config, target, ledger.folder, ledger.note())


def test_names_that_say_nothing_are_counted_and_left_alone(config, target, ledger, there):
    there.mkdir(parents=True)
    names = [
        "01", "+1", "-1", "1.0", "one", " 1", "1 ", "٣", "9" * 20, "9" * 200, "1.0123456789abcdef", ".1.abcdef", "\\",
        "new\nline", "probe-00",
    ]  # fmt: skip
    for name in names:
        (there / name).write_bytes(b"?")
    (there / "folder").mkdir()
    done = mirror.publish(config, target, ledger.folder, ledger.note())
    assert done.new and done.before.junk == len(names)  # a probe is ours, the folder is not
    assert len(list(there.iterdir())) == len(names) + 2


def test_one_that_has_vanished_is_told(config, target, ledger, there):
    mirror.publish(config, target, ledger.folder, ledger.note())
    ledger.grow()
    mirror.publish(config, target, ledger.folder, ledger.note())
    (there / "1").unlink()
    assert mirror.look(config, target, ledger.folder).missing == (1,)


def test_many_unseen_ones_are_read_in_parts_the_newest_first(config, target, ledger, monkeypatch):
    monkeypatch.setattr(mirror, "MOST_READ", 3)
    for _number in range(7):
        ledger.grow()
        mirror.publish(config, target, ledger.folder, ledger.note())
    for size in kept.sizes(ledger.folder, kept.MIRROR, "offsite"):
        kept.file_of(ledger.folder, kept.MIRROR, "offsite", size).unlink()
    assert mirror.look(config, target, ledger.folder).unread == 4
    assert mirror.look(config, target, ledger.folder).unread == 2
    assert mirror.look(config, target, ledger.folder).unread == 0
    assert len(kept.sizes(ledger.folder, kept.MIRROR, "offsite")) == 7


def test_a_full_folder_is_an_error_and_not_our_memory(config, target, ledger, there, monkeypatch):
    there.mkdir(parents=True)
    for number in range(120):
        (there / f"junk{number}").touch()
    names = place.Session.names
    monkeypatch.setattr(place.Session, "names", lambda self, folder, limit=100: names(self, folder, limit))
    with pytest.raises(RepositoryError, match="more than 100"):
        mirror.publish(config, target, ledger.folder, ledger.note())


def test_a_file_where_the_folder_should_be(config, target, ledger, offsite):
    (offsite.root / ".vaultd").write_bytes(b"")
    with pytest.raises(RepositoryError):
        mirror.publish(config, target, ledger.folder, ledger.note())


def test_a_server_that_takes_no_writes(config, make_target, ledger, tmp_path, offsite):
    offsite.stop()
    offsite.read_only = True
    offsite.start()
    with pytest.raises(TargetReadOnlyError):
        mirror.publish(config, make_target(), ledger.folder, ledger.note())
    assert kept.sizes(ledger.folder, kept.MIRROR, "offsite") == []


def test_a_server_that_is_gone_or_hangs(config, target, ledger, offsite, monkeypatch):
    mirror.publish(config, target, ledger.folder, ledger.note())
    ledger.grow()
    offsite.stop()
    with pytest.raises(UnreachableError):
        mirror.publish(config, target, ledger.folder, ledger.note())
    offsite.start()
    names = place.Session.names

    def cut(self, folder, *limit):
        offsite.cut()
        return names(self, folder, *limit)

    monkeypatch.setattr(place.Session, "names", cut)
    with pytest.raises(UnreachableError):
        mirror.publish(config, target, ledger.folder, ledger.note())
    monkeypatch.undo()
    assert mirror.publish(config, target, ledger.folder, ledger.note()).new


def test_a_damaged_ledger_is_told_as_such(config, target, ledger):
    note = ledger.note()
    (ledger.path / "keys" / "0").write_bytes(b"")
    with pytest.raises(VaultdError) as caught:
        mirror.publish(config, target, ledger.folder, note)
    assert caught.value.code == "ledger"


def test_a_new_file_is_never_put_over_one_that_came_meanwhile(config, target, ledger, there, monkeypatch):
    create = place.Session.create

    def late(self, path, content):
        (there / "1").write_bytes(b"somebody was faster\n")
        create(self, path, content)

    monkeypatch.setattr(place.Session, "create", late)
    with pytest.raises(RepositoryError):
        mirror.publish(config, target, ledger.folder, ledger.note())
    assert [path.name for path in there.iterdir()] == ["1"]
    assert (there / "1").read_bytes() == b"somebody was faster\n"


# -- of those far back fewer stay


def test_how_many_stay_in_years_and_that_nothing_left_out_is_ever_wanted_again():
    year = 365 * 24 * 60
    assert len(spacing.retained(range(1, year + 1))) < 2_600
    assert len(spacing.retained(range(1, 10 * year + 1))) < 7_200
    assert spacing.retained([]) == set()
    assert spacing.retained(range(1, 1_001)) == set(range(1, 1_001))
    signed = range(3, 2 * 200_000, 2)
    last, before = 1, {signed[0]}
    for count in [*range(2, 40), *range(990, 1_200), *range(63_990, 64_300), *range(64_300, len(signed), 7_919)]:
        now = spacing.retained(signed[:count])
        assert {signed[0], *signed[max(0, count - spacing.NEWEST) : count]} <= now
        assert {one for one in now if one <= signed[last - 1]} <= before, count
        last, before = count, now


@pytest.fixture
def few(monkeypatch):
    """So that little is much: the newest three, then one in two up to six back, then one in four."""
    monkeypatch.setattr(spacing, "NEWEST", 3)
    monkeypatch.setattr(spacing, "_STEPS", ((6, 2), (None, 4)))


def published(config, target, ledger, count):
    for _number in range(count):
        mirror.publish(config, target, ledger.folder, ledger.note())
        ledger.grow()


def test_a_mirror_keeps_fewer_of_those_far_back_and_that_is_no_loss(config, target, ledger, there, few):
    published(config, target, ledger, 12)
    mirror.publish(config, target, ledger.folder, ledger.note())
    signed = ledger.folder.kept_sizes()
    wanted = {signed[number] for number in (0, 4, 8, 10, 11, 12)}
    assert {int(path.name) for path in there.iterdir()} == wanted == spacing.retained(signed)
    assert set(kept.sizes(ledger.folder, kept.MIRROR, "offsite")) == wanted
    seen = mirror.look(config, target, ledger.folder, everything=True)
    assert (seen.newest.size, seen.missing) == (ledger.size, ())
    (there / str(signed[4])).unlink()  # one that was to stay
    assert mirror.look(config, target, ledger.folder).missing == (signed[4],)


def test_what_is_not_as_it_was_read_back_is_not_removed_but_told(config, target, ledger, there, few):
    published(config, target, ledger, 4)
    other = ledger.folder.kept_sizes()[1]
    assert (there / str(other)).exists()
    (there / str(other)).write_bytes(b"somebody's own\n")
    with pytest.raises(InconsistentError):
        mirror.publish(config, target, ledger.folder, ledger.note())
    assert (there / str(other)).read_bytes() == b"somebody's own\n"
    assert (there / str(ledger.size)).exists()


def test_a_stranger_under_a_size_far_back_is_not_ours_to_remove(config, target, ledger, there, few, monkeypatch):
    monkeypatch.setattr(mirror, "MOST_READ", 1)  # it is not read yet
    published(config, target, ledger, 4)
    (there / "2").write_bytes(b"?")
    assert 2 not in ledger.folder.kept_sizes()
    mirror.publish(config, target, ledger.folder, ledger.note())
    assert (there / "2").exists()


def test_a_server_that_lets_nothing_be_removed_keeps_all(config, target, ledger, there, few, monkeypatch):
    monkeypatch.setattr(place.Session, "attempt", lambda *_words: False)
    published(config, target, ledger, 6)
    assert len(list(there.iterdir())) == 6 == len(kept.sizes(ledger.folder, kept.MIRROR, "offsite"))
    assert mirror.look(config, target, ledger.folder, everything=True).missing == ()


def test_a_crash_between_removal_and_record_is_no_loss(config, target, ledger, there, few, monkeypatch):
    class Dead(BaseException):
        pass

    def dies(*_words):
        raise Dead

    monkeypatch.setattr(kept, "forget", dies)
    with pytest.raises(Dead):
        published(config, target, ledger, 12)
    monkeypatch.undo()
    monkeypatch.setattr(spacing, "NEWEST", 3)
    monkeypatch.setattr(spacing, "_STEPS", ((6, 2), (None, 4)))
    assert len(list(there.iterdir())) < len(kept.sizes(ledger.folder, kept.MIRROR, "offsite"))
    assert mirror.look(config, target, ledger.folder).missing == ()
    published(config, target, ledger, 2)
    assert {int(path.name) for path in there.iterdir()} == set(kept.sizes(ledger.folder, kept.MIRROR, "offsite"))


def test_very_many_copies_are_looked_at_once_an_hour(config, target, ledger, offsite, monkeypatch):
    copies = offsite.root / ".vaultd/anchored/20261123T065409.123Z/ward.example%2Frecords"
    copies.mkdir(parents=True)
    monkeypatch.setattr(mirror, "MANY_COPIES", 1)
    looked = []
    for _number in range(4):
        (copies / str(ledger.size)).write_bytes(ledger.note())
        looked.append(mirror.publish(config, target, ledger.folder, ledger.note()).before.anchored is not None)
        ledger.grow()
    assert looked == [True, True, False, False]
    newest = kept.sizes(ledger.folder, kept.ANCHORED, "offsite")[-1]
    os.utime(kept.file_of(ledger.folder, kept.ANCHORED, "offsite", newest), (0, 0))
    assert mirror.publish(config, target, ledger.folder, ledger.note()).before.anchored is not None
    assert mirror.look(config, target, ledger.folder).anchored is not None
