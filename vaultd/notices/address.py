"""Files of addresses: one address as apprise writes it, such as ``wecombot://KEY``, as secret as a password."""

from __future__ import annotations

import os
import stat

LARGEST = 1 << 14


class AddressError(Exception):
    """There is no address in a file that is to have one. ``word``: for the record; never what is in the file."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


def read(path: str) -> str:
    """The address in a file: its one line that is neither empty nor begins with "#".

    Refused is a file that others than its owner may read, or whose owner is neither root nor us. Raises AddressError.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise AddressError("url-file-kind")
            if status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
                raise AddressError("url-file-open")
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        raise AddressError("url-file-missing") from None
    except OSError:
        raise AddressError("url-file-unreadable") from None
    if len(content) > LARGEST:
        raise AddressError("url-file-large")
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise AddressError("url-file-text") from None
    found = [line for line in lines if line and not line.startswith("#")]
    if len(found) != 1:
        raise AddressError("url-file-lines")
    return found[0]
