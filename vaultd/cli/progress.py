"""Progress of long runs: a bar for each on a terminal, a line every few seconds otherwise, nothing with ``--json``.

Use it as a context manager and call ``show`` with the runs in motion as often as you like::

    with progress.display(cli) as shown:
        for job in client.follow(job):
            shown.show(progress.of_json(job["progress"]))
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import click

from vaultd.cli.format import duration, number, rate, size
from vaultd.i18n import N_, _
from vaultd.model import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from vaultd.cli.base import Cli

LINE_SECONDS = 5.0

PHASES = {
    "scan": N_("looking"), "hash": N_("hashing"), "backup": N_("sending"), "restore": N_("restoring"),
    "verify": N_("comparing"), "repair": N_("repairing the index"), "dump": N_("dumping"),
    "ledger": N_("checking the ledger"), "bag": N_("making the payload"), "package": N_("packing"),
    "report": N_("reading the ledger"),
}  # fmt: skip

ENTRIES = ("ledger", "report")
"""Phases that count entries of the ledger, not files."""


class Display(Protocol):
    """Shows how far things are."""

    def show(self, runs: Iterable[Progress]) -> None:
        """The runs in motion now; one that is not among them any more is over."""


def of_json(found: Iterable[dict[str, Any]]) -> list[Progress]:
    """The API's progress objects as values; fields of a newer daemon are left out."""
    return [Progress(**{name: one[name] for name in Progress.__dataclass_fields__}) for one in found]


@contextlib.contextmanager
def display(cli: Cli) -> Iterator[Display]:
    """The display that fits: it goes to stderr, so that stdout holds the result alone."""
    if cli.json:
        yield _Silent()
    elif sys.stderr.isatty():
        with _Bars() as bars:
            yield bars
    else:
        yield _Lines()


def title(run: Progress) -> str:
    """What is being done to which vault."""
    what = _(PHASES.get(run.phase, run.phase))
    parts = [part for part in (run.vault, run.target) if part]
    return f"{what} {' → '.join(parts)}".strip()


def line(run: Progress) -> str:
    """One run as a line of text."""
    done = size(run.bytes_done)
    if run.bytes_total:
        share = min(100, 100 * run.bytes_done // run.bytes_total)
        done = _("{share} %, {done} of {total}").format(share=share, done=done, total=size(run.bytes_total))
    parts = [_entries(run)] if run.phase in ENTRIES else [done, _files(run)]
    if run.rate > 0:
        parts.append(rate(run.rate))
    if run.seconds_left is not None:
        parts.append(_("{duration} left").format(duration=duration(run.seconds_left)))
    return f"{title(run)}: {', '.join(parts)}"


def _entries(run: Progress) -> str:
    return _("{done} of {total} entries").format(done=number(run.files_done), total=number(run.files_total))


def _files(run: Progress) -> str:
    if run.files_total:
        return _("{done} of {total} files").format(done=number(run.files_done), total=number(run.files_total))
    return _("files: {done}").format(done=number(run.files_done))


class _Silent:
    def show(self, runs: Iterable[Progress]) -> None:
        """Nothing."""


class _Lines:
    """A line for a run when it begins, and then every few seconds: for logs and pipes."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, str, str], float] = {}

    def show(self, runs: Iterable[Progress]) -> None:
        """Print what is due."""
        now = time.monotonic()
        for run in runs:
            key = (run.phase, run.vault, run.target)
            if now >= self._next.get(key, 0.0):
                self._next[key] = now + LINE_SECONDS
                click.echo(line(run), err=True)


class _Bars:
    """Bars of rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._rich: RichProgress = Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
            TextColumn("{task.fields[numbers]}", markup=False),
            console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._tasks: dict[tuple[str, str, str], TaskID] = {}

    def __enter__(self) -> _Bars:
        self._rich.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._rich.stop()

    def show(self, runs: Iterable[Progress]) -> None:
        """Bring the bars up to date."""
        shown: Sequence[Progress] = list(runs)
        keys = {(run.phase, run.vault, run.target) for run in shown}
        for key in self._tasks.keys() - keys:
            self._rich.remove_task(self._tasks.pop(key))
        for run in shown:
            key = (run.phase, run.vault, run.target)
            if key not in self._tasks:
                self._tasks[key] = self._rich.add_task(title(run), total=None, numbers="")
            self._rich.update(
                self._tasks[key],
                completed=run.files_done if run.phase in ENTRIES else run.bytes_done,
                total=(run.files_total if run.phase in ENTRIES else run.bytes_total) or None,
                numbers=line(run).partition(": ")[2],
            )  # fmt: skip
