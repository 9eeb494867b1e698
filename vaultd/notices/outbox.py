"""The outbox, as those see it who have something to tell: put a notice in, see what became of it.

``put`` writes twice: first what was handed over (``kept``), then what the courier is to take (``new``). A crash in
between loses nothing: who looks after the outbox (``lost``, ``put_again``) finds it in none of the courier's folders.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vaultd import files
from vaultd.errors import StateError
from vaultd.i18n import _
from vaultd.notices import folders, form
from vaultd.notices.form import Kept
from vaultd.notices.model import Notice

UNFINISHED_SECONDS = 3600.0
GRACE_NS = 60_000_000_000
"""What is younger may still be on its way from one folder to the next."""


def put(
    state: Path, notice: Notice, *, shown: Notice | None = None, only: str | None = None, attempts: int | None = None
) -> str:
    """Keep a notice until the courier has sent it; returns its id. Durable when this returns.

    ``shown``: what is sent instead (a text that must not leave the host is told on the host only). ``only``: to this
    channel alone. ``attempts``: give up after so many. A drill's notice begins with DRILL. Raises StateError.
    """
    if not notice.title.strip() or not notice.of:
        raise ValueError("a notice has a title, and is about something")
    kept = Kept(form.new_id(), time.time_ns(), _plain(marked(notice)), only, attempts)
    sent = kept if shown is None else replace(kept, notice=_plain(marked(shown)))
    folders.prepare(state)
    try:
        _write(state, folders.KEPT, kept, 0o600)
        _write(state, folders.NEW, sent, folders.file_mode(state))
    except OSError as error:
        raise folders.unusable(state, error) from error
    return kept.id


def put_again(state: Path, kept: Kept) -> None:
    """Give a notice to the courier once more: one that ``lost`` has found. Raises StateError."""
    try:
        _write(state, folders.NEW, kept, folders.file_mode(state))
    except OSError as error:
        raise folders.unusable(state, error) from error


def _write(state: Path, folder: str, kept: Kept, mode: int) -> None:
    path = folders.file(state, folder, kept.id)
    files.create_idempotent(path, form.encode(kept), mode)
    with contextlib.suppress(FileNotFoundError):  # the courier has it already
        folders.give(state, path)


def _plain(notice: Notice) -> Notice:
    """As every service takes it: a title on one line, whole characters, not too long."""

    def text(value: str) -> str:
        return value.encode("utf-8", "replace").decode()[: form.LONGEST]

    return replace(
        notice, of=text(notice.of), title=text(" ".join(notice.title.split())), text=text(notice.text),
        recipients=tuple(map(text, notice.recipients)),
    )  # fmt: skip


def marked(notice: Notice) -> Notice:
    """A drill's notice says so first of all, in title and text."""
    if not notice.drill:
        return notice
    mark = _("DRILL")
    return replace(notice, title=_begun(notice.title, mark), text=_begun(notice.text, mark))


def _begun(text: str, mark: str) -> str:
    return text if text.startswith(mark) else f"{mark}: {text}"


@dataclass(frozen=True, slots=True)
class Result:
    """A notice as the courier left it: in which folder, with which deliveries. ``kept``: as it was handed over, None
    where nobody here has done that."""

    id: str
    folder: str
    deliveries: tuple[form.Delivery, ...]
    kept: Kept | None

    @property
    def over(self) -> bool:
        """Whether the courier has done with it."""
        return self.folder in (folders.DONE, folders.FAILED)


def results(state: Path, seen: dict[str, int] | None = None) -> Iterator[Result]:
    """What the courier has written back, oldest first. Of what is being sent, only what has changed since ``seen``
    (mtimes by id), which is brought up to date. A file that cannot be read as one is left out: ``find`` says why."""
    for folder in (folders.SENDING, folders.DONE, folders.FAILED):
        for number in folders.listed(state, folder):
            path = folders.file(state, folder, number)
            try:
                changed = path.lstat().st_mtime_ns
                if folder == folders.SENDING and seen is not None and seen.get(number) == changed:
                    continue
                found = form.read(path)
            except FileNotFoundError:
                continue  # it has just moved on
            except (OSError, ValueError):
                yield Result(number, folder, (), handed_over(state, number))
                continue
            if seen is not None:
                seen[number] = changed
            yield Result(number, folder, found.deliveries or (), handed_over(state, number))


def handed_over(state: Path, number: str) -> Kept | None:
    """A notice as it was put in, None where there is none."""
    try:
        return form.read(folders.file(state, folders.KEPT, number))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StateError(_("the notice {id} cannot be read").format(id=number), str(error)) from error


def all_kept(state: Path) -> Iterator[Kept]:
    """Every notice that is still kept, oldest first. Raises StateError."""
    for number in folders.listed(state, folders.KEPT):
        found = handed_over(state, number)
        if found is not None:
            yield found


def find(state: Path, number: str) -> tuple[str, Kept] | None:
    """Where a notice is now (its folder) and how it stands there. Raises StateError for a file that is none."""
    for folder in (folders.NEW, folders.SENDING, folders.DONE, folders.FAILED):  # the way it goes
        try:
            return folder, form.read(folders.file(state, folder, number))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise StateError(_("the notice {id} cannot be read").format(id=number), str(error)) from error
    return None


def whereabouts(state: Path) -> dict[str, str]:
    """The folder of every notice that the courier has or is to take."""
    found: dict[str, str] = {}
    for folder in (folders.NEW, folders.SENDING, folders.DONE, folders.FAILED):  # the way it goes: none slips through
        for number in folders.listed(state, folder):
            found[number] = folder
    return found


def sweep(state: Path) -> None:
    """Take away what a process that was killed while it put a notice in has left half-written. Raises StateError."""
    for folder in (folders.KEPT, folders.NEW):
        for path in folders.unfinished(state, folder):
            try:
                if time.time() - path.lstat().st_mtime > UNFINISHED_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                continue  # it was being written, and is whole now
            except OSError as error:
                raise folders.unusable(state, error) from error


def remove(state: Path, folder: str, number: str) -> None:
    """Take a notice out of a folder; one that is gone already is fine. Raises StateError."""
    path = folders.file(state, folder, number)
    try:
        path.unlink(missing_ok=True)
        files.fsync_directory(path.parent)
    except OSError as error:
        raise folders.unusable(state, error) from error
