"""Shares: any three open, two say nothing, and every slip of the pen is noticed."""

from __future__ import annotations

import itertools
import secrets
import subprocess

import pytest
from Crypto.Protocol.SecretSharing import Shamir
from hypothesis import given
from hypothesis import strategies as st

from vaultd.errors import ConfigError
from vaultd.kit import shares, spelling
from vaultd.kit.faults import KitError, ShareError
from vaultd.kit.shares import Share

KIT = "1f2e3d4c"


@pytest.fixture(scope="module")
def key() -> bytes:
    return shares.new_key()


@pytest.fixture(scope="module")
def made(key: bytes) -> list[Share]:
    return shares.split(key, KIT, 3, 5)


def test_any_three_of_five_give_the_key_and_any_two_are_refused(key: bytes, made: list[Share]) -> None:
    for count in (3, 4, 5):
        for chosen in itertools.permutations(made, count) if count == 3 else itertools.combinations(made, count):
            assert shares.combine(chosen) == key
    for chosen in itertools.combinations(made, 2):
        with pytest.raises(ShareError, match="needs 3 different shares"):
            shares.combine(chosen)
        with pytest.raises(ShareError, match="needs 3"):
            shares.combine([*chosen, chosen[0]])  # one of them twice is not three


def _times(first: int, second: int) -> int:
    """In GF(2^128) with the polynomial of ssss, written here once more."""
    found = 0
    while second:
        found ^= first if second & 1 else 0
        first <<= 1
        first ^= (1 << 128 | 0b10000111) if first >> 128 else 0
        second >>= 1
    return found


def _inverse(element: int) -> int:
    found, power = 1, element
    for _bit in range(127):
        power = _times(power, power)
        found = _times(found, power)
    return found


def _third(secret: bytes, two: list[tuple[int, bytes]], number: int) -> bytes:
    """The share ``number`` that makes these two agree with a secret: the polynomial x^3 + ... through them."""
    points = [(0, int.from_bytes(secret, "big"))]
    points += [(at, int.from_bytes(value, "big") ^ _times(at, _times(at, at))) for at, value in two]
    found = _times(number, _times(number, number))
    for at, value in points:
        top = bottom = 1
        for other, _value in points:
            if other != at:
                top, bottom = _times(top, number ^ other), _times(bottom, at ^ other)
        found ^= _times(value, _times(top, _inverse(bottom)))
    return found.to_bytes(16, "big")


def test_two_shares_agree_with_every_key_there_is(made: list[Share]) -> None:
    """For any two shares and any key at all there is a third share that gives this key: two exclude none, so they say
    nothing about which it is."""
    for two in itertools.combinations(made, 2):
        other = secrets.token_bytes(32)  # any key: not the one that was split
        (number,) = [one.number for one in made if one not in two][:1]
        third = b"".join(
            _third(other[at : at + 16], [(one.number, one.value[at : at + 16]) for one in two], number)
            for at in (0, 16)
        )
        assert shares.combine([*two, Share(KIT, number, 3, 5, third)]) == other


def test_another_program_puts_the_key_together(key: bytes, made: list[Share]) -> None:
    """Debian's ssss, from the rows on paper: what a sheet says under "without vaultd"."""
    halves = []
    for rows in ((1, 2), (3, 4)):
        lines = [
            f"{one.number}-" + "".join(spelling.rows(one)[row].replace(" ", "")[:16] for row in rows)
            for one in (made[4], made[0], made[2])
        ]
        done = subprocess.run(
            ["ssss-combine", "-t", "3", "-s", "128", "-D", "-x", "-Q"],
            input="\n".join(lines) + "\n", capture_output=True, text=True, check=True,
        )  # fmt: skip
        halves.append(done.stderr.strip().split()[-1])
    assert bytes.fromhex("".join(halves)) == key


def test_shares_that_do_not_belong_together_are_named(made: list[Share]) -> None:
    other = shares.split(shares.new_key(), "00000001", 3, 5)
    with pytest.raises(ShareError, match=f"of kit {KIT}, another of kit 00000001"):
        shares.combine([made[0], made[1], other[2]])
    forged = Share(KIT, 1, 3, 5, bytes(32))
    with pytest.raises(ShareError, match="two shares 1 of kit"):
        shares.combine([made[0], made[1], made[2], forged])
    with pytest.raises(ShareError, match="there is no share"):
        shares.combine([])


@pytest.mark.parametrize(("threshold", "total"), [(1, 5), (6, 5), (0, 0), (3, 21), (2, 1)])
def test_numbers_that_make_no_sense_are_refused(threshold: int, total: int) -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        shares.split(bytes(32), KIT, threshold, total)


def test_the_smallest_and_the_largest_kit_open() -> None:
    key = shares.new_key()
    for threshold, total in ((2, 2), (20, 20)):
        assert shares.combine(shares.split(key, KIT, threshold, total)) == key


def test_a_share_shows_nothing_of_itself_in_a_log(made: list[Share]) -> None:
    assert made[0].value.hex() not in repr(made[0])
    assert repr(made[0]) == f"Share({KIT} 1/5)"


# spelling


def test_what_was_written_is_read_back_however_it_is_typed(made: list[Share]) -> None:
    for one in made:
        rows = spelling.rows(one)
        assert spelling.share_of(rows) == one
        assert spelling.parse("\n".join(rows)) == one
        assert spelling.parse("# sheet 1\n" + "\n".join(f"{at}. {row}" for at, row in enumerate(rows, 1))) == one
        assert spelling.parse(spelling.text(one)) == one
        assert spelling.share_of([row.upper().replace(" ", "-").replace("0", "O") for row in rows]) == one


def test_every_wrong_digit_and_every_swap_in_a_row_is_noticed(made: list[Share]) -> None:
    for place, row in enumerate(spelling.rows(made[0]), 1):
        plain = row.replace(" ", "")
        wrong = {
            plain[:at] + digit + plain[at + 1 :]
            for at in range(len(plain)) for digit in "0123456789abcdef" if digit != plain[at]
        }  # fmt: skip
        for first, second in itertools.combinations(range(len(plain)), 2):
            if plain[first] != plain[second]:
                letters = list(plain)
                letters[first], letters[second] = letters[second], letters[first]
                wrong.add("".join(letters))
        assert len(wrong) > 19 * 15
        for typed in wrong:
            with pytest.raises(ShareError, match=f"row {place} of the share"):
                spelling.row(typed, place)


def test_the_mistake_is_named(made: list[Share]) -> None:
    rows = spelling.rows(made[0])
    swapped = [rows[0], rows[2], rows[1], *rows[3:]]
    with pytest.raises(ShareError, match="row 2 of the share: this is row 3"):
        spelling.share_of(swapped)
    with pytest.raises(ShareError, match="row 4 of the share: it has 18 digits instead of 19"):
        spelling.row(rows[3][:-1], 4)
    with pytest.raises(ShareError, match="row 1 of the share: 'x' is no digit"):
        spelling.row("x" + rows[0][1:], 1)
    with pytest.raises(ShareError, match="5 rows instead of 6"):
        spelling.parse("\n".join(rows[:5]))
    # Every row right, but of two sheets.
    mixed = [*rows[:3], *spelling.rows(made[1])[3:]]
    with pytest.raises(ShareError, match="do not belong together"):
        spelling.share_of(mixed)


@given(st.text(max_size=200))
def test_anything_else_is_an_error_and_no_crash(text: str) -> None:
    with pytest.raises(KitError):
        spelling.parse(text)


def test_the_shares_are_made_of_halves_with_polynomials_of_their_own() -> None:
    """The same key in both halves does not give the same shares."""
    found = shares.split(bytes(16) * 2, KIT, 2, 3)
    assert all(one.value[:16] != one.value[16:] for one in found)
    assert Shamir.combine([(one.number, one.value[:16]) for one in found[:2]], ssss=True) == bytes(16)
