"""Whether the checkpoints on a target are an anchor: proved with a probe file, by trying to destroy it.

The server copies what it finds in ``.vaultd/checkpoints`` to ``.vaultd/anchored/<generation>`` by another user
(config/offsite/ has two ready ways). The probe is written like a checkpoint. When its copy is there, everything that
our account could do to it is tried: directly, by way of the folders above it, and by way of the original, of which a
mere hard link would follow every change. Then a second probe is awaited: its copy shows that the server has worked
again, and the first one must still be there, unchanged. Only when nothing of this has changed the copy is it an anchor.
"""

from __future__ import annotations

import logging
import posixpath
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from vaultd import sftp
from vaultd.anchor import place
from vaultd.config import Config, TargetConfig
from vaultd.errors import RepositoryError
from vaultd.sftp import Session

if TYPE_CHECKING:
    import paramiko

log = logging.getLogger(__name__)

WAIT = 150.0
"""Seconds in which the server should have copied: its timer runs once a minute."""

_MOST_LINKS = 16

Verdict = Literal["anchor", "no-copies", "not-copied", "changeable"]
Action = Callable[["paramiko.SFTPClient"], object]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that was tried. ``refused``: by the server. ``held``: afterwards the copy was what it was before, and
    nothing had become possible that would change it later."""

    action: str
    refused: bool
    held: bool


@dataclass(frozen=True, slots=True)
class Probed:
    """``anchor``: proved. ``no-copies``: the server keeps none, a plain mirror. ``not-copied``: the probe's copy did
    not come in time. ``changeable``: an attempt did not hold. ``at_ns``: when this was seen."""

    target: str
    verdict: Verdict
    attempts: tuple[Attempt, ...] = field(default=())
    at_ns: int = field(default_factory=time.time_ns)

    @property
    def is_anchor(self) -> bool:
        """Whether a copy of a checkpoint there is out of this host's reach."""
        return self.verdict == "anchor"

    @property
    def failed(self) -> tuple[str, ...]:
        """The actions that got through."""
        return tuple(one.action for one in self.attempts if not one.held)


def probe(
    config: Config, target: TargetConfig, origin: str, *, wait: float = WAIT, pause: float = 1.0
) -> Probed:  # fmt: skip
    """Find out what the checkpoints on a target are worth. Waits at most twice ``wait`` seconds, and not at all where
    the server keeps no copies. Raises TargetError when the target cannot be used."""
    with sftp.connect(target, config.known_hosts(target)) as session:
        mirror = place.mirror(target, origin)
        session.make_folders(mirror)
        if not session.exists(place.copies(target)):
            return Probed(target.name, "no-copies")
        trial = _Trial(session, target, origin, mirror, wait, pause)
        try:
            return trial.run()
        finally:
            trial.clean()


class _Trial:
    def __init__(
        self, session: Session, target: TargetConfig, origin: str, mirror: str, wait: float, pause: float
    ) -> None:  # fmt: skip
        self._session, self._target, self._origin, self._mirror = session, target, origin, mirror
        self._wait, self._pause = wait, pause
        self._written = list[str]()

    def run(self) -> Probed:
        name, content = self._write()
        copy = self._await(name, content)
        if copy is None:
            return Probed(self._target.name, "not-copied")
        attempts = list[Attempt]()
        for action, path, does in self._attacks(name, copy):
            done = self._session.attempt(path, does)
            attempts.append(Attempt(action, not done, self._content(copy) == content))
        attempts += self._folders(copy)
        if all(one.held for one in attempts):
            second = self._await(*self._write())
            if second is None:
                return Probed(self._target.name, "not-copied", tuple(attempts))
            later = posixpath.join(posixpath.dirname(second), name)
            attempts.append(Attempt("wait for the next copy", False, self._content(later) == content))
        held = all(one.held for one in attempts)
        return Probed(self._target.name, "anchor" if held else "changeable", tuple(attempts))

    def _write(self) -> tuple[str, bytes]:
        name = place.PROBE + secrets.token_hex(8)
        content = f"vaultd looks whether this can be changed: {secrets.token_hex(32)}\n".encode()
        path = posixpath.join(self._mirror, name)
        self._written.append(path)
        self._session.create(path, content)
        return name, content

    def _await(self, name: str, content: bytes) -> str | None:
        """The path of a probe's copy, when the server has made it."""
        deadline = time.monotonic() + self._wait
        while True:
            folder = place.newest_copies(self._session, self._target, self._origin)
            if folder is not None and self._content(posixpath.join(folder, name)) == content:
                return posixpath.join(folder, name)
            if time.monotonic() >= deadline:
                return None
            time.sleep(self._pause)

    def _content(self, path: str) -> bytes | None:
        try:
            return self._session.get(path, 4096)
        except (FileNotFoundError, RepositoryError):
            return None

    def _attacks(self, name: str, copy: str) -> Iterator[tuple[str, str, Action]]:
        """What is tried: on the copy first, and on the original last, which is gone then."""
        original = posixpath.join(self._mirror, name)
        yield "change the mode of the copy", copy, lambda server: server.chmod(copy, 0o666)
        yield "set the times of the copy", copy, lambda server: server.utime(copy, (0, 0))
        for where, path in (("copy", copy), ("original", original)):
            yield f"overwrite the {where}", path, _overwrite(path)
            yield f"append to the {where}", path, _append(path)
            yield f"truncate the {where}", path, _truncate(path)
            yield f"rename over the {where}", path, self._rename_over(path)
            if path == copy:
                yield "rename the copy away", path, _rename(copy, posixpath.join(self._mirror, f"{name}.taken"))
            yield f"remove the {where}", path, _remove(path)

    def _rename_over(self, path: str) -> Action:
        other = posixpath.join(self._mirror, place.PROBE + secrets.token_hex(8))
        self._written.append(other)

        def do(server: paramiko.SFTPClient) -> None:
            with server.open(other, "wx") as stream:
                stream.write(b"another\n")
            server.posix_rename(other, path)

        return do

    def _folders(self, copy: str) -> Iterator[Attempt]:
        """Who may make a name in a folder may also rename what is in it, and put something else in its place: that is
        tried with an empty folder of another name, since a rename that works could not be undone for certain. Who owns
        a folder can give himself that right."""
        for path in self._above(copy):
            trial = posixpath.join(path, ".vaultd-" + place.PROBE + secrets.token_hex(8))
            made = self._session.attempt(path, _make_folder(trial))
            yield Attempt(f"make a folder in {path}", not made, not made)
            if made:
                self._session.attempt(path, _remove_folder(trial))
            changed = self._session.attempt(path, _same_mode(path))
            yield Attempt(f"change the mode of {path}", not changed, not changed)

    def _above(self, copy: str) -> list[str]:
        """Every folder on the way to the copy, also on the way to what a link points to."""
        found, todo = dict[str, None](), [posixpath.join(self._session.absolute(""), copy)]
        for _link in range(_MOST_LINKS):
            if not todo:
                break
            at, parts = "/", todo.pop().strip("/").split("/")
            for number, part in enumerate(parts):
                found[at] = None
                link = self._link(posixpath.join(at, part))
                if link is not None:
                    todo.append(posixpath.normpath(posixpath.join(at, link, *parts[number + 1 :])))
                    break
                at = posixpath.normpath(posixpath.join(at, part))
        return list(found)

    def _link(self, path: str) -> str | None:
        found = list[str | None]()
        self._session.attempt(path, lambda server: found.append(server.readlink(path)))
        return found[0] if found else None

    def clean(self) -> None:
        """Remove what was written; where the server keeps us from it, it stays, and says what it is."""
        for path in self._written:
            if self._session.exists(path) and not self._session.attempt(path, _remove(path)):
                log.info("target %s: %s stays", self._target.name, path)


def _overwrite(path: str) -> Action:
    def do(server: paramiko.SFTPClient) -> None:
        with server.open(path, "r+b") as stream:
            stream.write(b"changed")

    return do


def _append(path: str) -> Action:
    def do(server: paramiko.SFTPClient) -> None:
        with server.open(path, "ab") as stream:
            stream.write(b"more")

    return do


def _truncate(path: str) -> Action:
    return lambda server: server.truncate(path, 0)


def _rename(path: str, to: str) -> Action:
    return lambda server: server.posix_rename(path, to)


def _remove(path: str) -> Action:
    return lambda server: server.remove(path)


def _make_folder(path: str) -> Action:
    return lambda server: server.mkdir(path)


def _remove_folder(path: str) -> Action:
    return lambda server: server.rmdir(path)


def _same_mode(path: str) -> Action:
    return lambda server: server.chmod(path, (server.stat(path).st_mode or 0) & 0o7777)
