"""Most entries are versions of files. One regular expression knows those that are as the writer makes them, ten times
as fast as the parser; for all others it says nothing, and they go the long way. It must never match an entry that the
long way refuses: tests compare the two.
"""

from __future__ import annotations

import re

_ESCAPE = rb'\\(?:["\\bfnrt]|u00(?:0[0-7be-f]|1[0-9a-f]))'
_TEXT = rb'"(?:[^"\\\x00-\x1f]++|' + _ESCAPE + rb')*+"'
_NUMBER = rb"(?:0|[1-9][0-9]{0,14}+)"
_HASH = rb'"[0-9a-f]{64}"'
_NANOSECONDS = rb'"(?:0|-?[1-9][0-9]{0,29}+)"'


def version_pattern(origin: bytes) -> re.Pattern[bytes]:
    """Matches the whole of a ``version`` entry of this log; its groups are ``seq`` and ``t``.

    ``origin`` is a JSON text. That the entry is UTF-8 and ``t`` a time is still to be checked.
    """
    return re.compile(
        rb'\{"change_set":' + _TEXT + rb'(?:,"mtime_ns":' + _NANOSECONDS + rb')?,"origin":' + re.escape(origin)
        + rb',"path":' + _TEXT + rb',"salt":"[0-9a-f]{32}","seq":(' + _NUMBER + rb')(?:,"sha256":' + _HASH
        + rb')?(?:,"size":' + _NUMBER + rb')?(?:,"sm3":' + _HASH + rb')?,"state":' + _TEXT
        + rb',"t":"([0-9T:.Z-]{27})","type":"version","v":1,"vault":' + _TEXT + rb"\}"
    )  # fmt: skip


def is_utf8(entry: bytes) -> bool:
    """Whether bytes are UTF-8."""
    if entry.isascii():
        return True
    try:
        entry.decode()
    except UnicodeDecodeError:
        return False
    return True
