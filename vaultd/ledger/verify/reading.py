"""Files of a folder that anybody may have prepared: read up to a limit, no link is followed, nothing is waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vaultd.ledger.verify.finding import Code, Finding

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Without O_NONBLOCK a pipe is waited for."""


class Reader:
    """The files below a ledger's folder, by their names there. Raises Finding for what cannot be taken."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, name: str) -> int | None:
        """A handle of a plain file, None when there is none."""
        try:
            handle = os.open(self.root / name, _FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(self.root / name, name, error) from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise Finding(Code.NOT_A_FILE, name)
        return handle

    def find(self, name: str, limit: int) -> bytes | None:
        """The content of a file of at most so many bytes, None when it is not there."""
        handle = self.open(name)
        if handle is None:
            return None
        try:
            with open(handle, "rb", buffering=0) as stream:
                content = bytearray()
                while len(content) <= limit and (more := stream.read(limit + 1 - len(content))):
                    content += more
        except OSError as error:
            raise Finding(Code.UNREADABLE, name, why=_reason(error)) from None
        if len(content) > limit:
            raise Finding(Code.TOO_LARGE, name)
        return bytes(content)

    def read(self, name: str, limit: int) -> bytes:
        """The content of a file that must be there."""
        content = self.find(name, limit)
        if content is None:
            raise Finding(Code.MISSING, name)
        return content

    def names(self, name: str, most: int) -> dict[str, bool] | None:
        """What a folder has, in order, and whether each is a folder; None when it is not there. Nothing but plain files
        and folders may be in it, and no more than ``most``."""
        found = dict[str, bool]()
        try:
            # The ledger's folder itself may be behind a link, what is in it may not.
            handle = os.open(self.root / name, _FLAGS & ~(0 if name else os.O_NOFOLLOW) | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(self.root / name, name, error) from None
        try:
            with os.scandir(handle) as entries:
                for entry in entries:
                    folder = entry.is_dir(follow_symlinks=False)
                    if not folder and not entry.is_file(follow_symlinks=False) and _is_there(entry):
                        raise Finding(Code.NOT_A_FILE, f"{name}/{entry.name}" if name else entry.name)
                    found[entry.name] = folder
                    if len(found) > most:
                        raise Finding(Code.EXTRA, f"{name}/{entry.name}")
        except OSError as error:
            raise Finding(Code.UNREADABLE, name, why=_reason(error)) from None
        finally:
            os.close(handle)
        return dict(sorted(found.items()))


def _failed(path: Path, name: str, error: OSError) -> Finding:
    """Why something could not be opened: it is no file (folder) at all, or it cannot be read."""
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
    except OSError:
        mode = 0
    plain = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    wrong_kind = isinstance(error, (IsADirectoryError, NotADirectoryError)) or (mode and not plain)
    return Finding(Code.NOT_A_FILE if wrong_kind else Code.UNREADABLE, name or ".", why=_reason(error))


def _is_there(entry: os.DirEntry[str]) -> bool:
    """Whether it is still there: temporary files come and go."""
    try:
        entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
