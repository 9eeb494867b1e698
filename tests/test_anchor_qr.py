"""QR codes of checkpoints, read back by another program (zbarimg), from the picture and from the terminal."""

from __future__ import annotations

import struct
import subprocess
import zlib

import pytest

from tests.anchoring import Ledger
from vaultd.anchor import qr
from vaultd.anchor.faults import AnchorError
from vaultd.ledger import note

DARK, LIGHT = 0, 255
_HALVES = {"█": (LIGHT, LIGHT), "▀": (LIGHT, DARK), "▄": (DARK, LIGHT), " ": (DARK, DARK)}


def read(path) -> bytes:
    done = subprocess.run(["zbarimg", "--quiet", "--raw", "-Sbinary", str(path)], capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def picture(rows, scale=4) -> bytes:
    """A grey PNG, written here: what the terminal shows must be read without the library that made it."""
    wide = [bytes(value for value in row for _ in range(scale)) for row in rows]
    raw = b"".join(b"\0" + row for row in wide for _ in range(scale))

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", len(wide[0]), len(wide) * scale, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("origin", ["ward.example/records", "病案室.example/一", "a"])
def test_what_is_read_from_paper_is_the_note_byte_for_byte(tmp_path, origin):
    ledger = Ledger(tmp_path / "ledger", origin)
    ledger.grow(300)
    file = tmp_path / "checkpoint.png"
    file.write_bytes(qr.png(ledger.note()))
    found = read(file)
    assert found == ledger.note()
    assert note.verify(note.parse(found), [ledger.signer.verifier]) == [ledger.signer.verifier]


def test_what_the_terminal_shows_is_read_too(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    shown = qr.terminal(ledger.note(), colour=False)
    assert set(shown) <= {*_HALVES, "\n"}
    for line, plain in zip(qr.terminal(ledger.note()).split("\n"), shown.split("\n"), strict=True):
        assert line == (plain and f"\x1b[40;97m{plain}\x1b[0m")
    rows = []
    for line in shown.rstrip("\n").split("\n"):
        rows += [[_HALVES[one][half] for one in line] for half in (0, 1)]
    file = tmp_path / "terminal.png"
    file.write_bytes(picture(rows))
    assert read(file) == ledger.note()
    assert len(shown.split("\n")[0]) <= 80


def test_what_does_not_fit_is_told():
    with pytest.raises(AnchorError, match="does not fit"):
        qr.png(b"x" * 3000)
