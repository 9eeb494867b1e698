"""Which names the formats can carry. All others are stored as ``data/_x/NNNNNN``, and ``names.jsonl`` has the true one.

Tried with bagit.py 1.9.0, coreutils 9.1 and hashdeep 4.4, each character at the beginning, within and at the end:

- a line feed ends the line for all three, a carriage return for bagit.py and hashdeep;
- bagit.py reads with Python's ``splitlines``, to which U+000B, U+000C, U+001C to U+001E, U+0085, U+2028 and U+2029 are
  line ends too; it strips white space from the end of a line, and decodes ``%0A`` and ``%0D``;
- BagIt writes ``%`` as ``%25``, which neither bagit.py nor ``sha256sum`` decodes: no spelling suits all;
- ``sha256sum`` and BagIt differ in how a backslash is written, and other readers take it for a slash;
- bagit.py takes two names for one that are the same in NFC: it would not miss one of them.

Commas, quotes, leading dashes and spaces, ``*``, ``~`` and every other character pass.
"""

from __future__ import annotations

import re
import unicodedata

PLACE = b"_x"
"""The folder in the payload for files whose own names cannot be written; a vault's own ``_x`` goes there too."""

_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029%\\\\]")


def carried(path: bytes) -> bool:
    """Whether the formats can carry a path, relative to the payload."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return False
    if path == PLACE or path.startswith(PLACE + b"/"):
        return False
    return _REFUSED.search(text) is None and text == text.rstrip()


def normal(path: bytes) -> bytes:
    """A carried path in NFC."""
    return path if path.isascii() else unicodedata.normalize("NFC", path.decode()).encode()


def stored(number: int) -> bytes:
    """The name that the file gets instead, relative to the payload."""
    return b"%b/%06d" % (PLACE, number)
