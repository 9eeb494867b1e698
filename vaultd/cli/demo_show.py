"""How the demo looks: one quiet line in motion and finished ones above it on a terminal; plain lines in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from vaultd.cli.format import columns, duration, width
from vaultd.i18n import _

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from vaultd.cli.base import Cli
    from vaultd.demo.teller import Teller

LINE_SECONDS = 5.0
WIDEST = 100
PATIENCE_SECONDS = 1.0
"""What takes longer than this shows its time."""


@contextlib.contextmanager
def teller(cli: Cli) -> Iterator[Teller]:
    """The teller that fits."""
    if cli.json:
        yield _Silent()
    elif sys.stdout.isatty():
        with _Terminal() as terminal:
            yield terminal
    else:
        yield _Lines()


def write(cli: Cli, lessons: Sequence[str], commands: Sequence[tuple[str, str]]) -> None:
    """The end: what was shown, and what to type next."""
    if cli.json:
        return
    if sys.stdout.isatty():
        _write_terminal(lessons, commands)
        return
    click.echo("\n" + _("What this has shown"))
    for lesson in lessons:
        click.echo(f"  {lesson}")
    click.echo()
    room = max(width(typed) for typed, _does in commands)
    for typed, does in commands:
        click.echo(f"  {columns(typed, room)}  {does}")


def _write_terminal(lessons: Sequence[str], commands: Sequence[tuple[str, str]]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console = _console()
    console.print()
    console.print(Text(_("What this has shown"), "bold"))
    for lesson in lessons:
        console.print(Padding(Text(lesson), (0, 0, 0, 2)))
    console.print()
    for typed, does in commands:
        # In one piece, so that it can be copied.
        console.print(Text("  ") + Text(typed, "bold"), soft_wrap=True)
        console.print(Padding(Text(does, "dim"), (0, 0, 0, 4)))


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, WIDEST)
    return console


class _Silent:
    """For --json."""

    def chapter(self, title: str) -> None:
        pass

    def working(self, text: str, done: int = 0, total: int = 0, detail: str = "") -> None:
        pass

    def done(self, text: str, detail: str = "") -> None:
        pass

    def failed(self, text: str, detail: str = "") -> None:
        pass


class _Lines:
    """For logs and pipes: a line for every step that is over, and one every few seconds for one that takes long."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LINE_SECONDS

    def chapter(self, title: str) -> None:
        click.echo(f"\n{title}")
        self._wait()

    def working(self, text: str, done: int = 0, total: int = 0, detail: str = "") -> None:
        if time.monotonic() < self._next:
            return
        share = _("{share} %").format(share=min(100, 100 * done // total)) if total else ""
        click.echo("  " + ", ".join(part for part in (f"{text} ...", share, detail) if part))
        self._wait()

    def done(self, text: str, detail: str = "") -> None:
        click.echo(f"  {text}" + (f": {detail}" if detail else ""))
        self._wait()

    def failed(self, text: str, detail: str = "") -> None:
        self.done(text, detail)

    def _wait(self) -> None:
        self._next = time.monotonic() + LINE_SECONDS


class _Terminal:
    """For people: what is over stays, what goes on is one line below it that moves."""

    def __init__(self) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._console = _console()
        plain = not (self._console.encoding or "").lower().startswith("utf")
        self._marks = ("ok", "!!") if plain else ("✓", "✗")
        self._spinner = Spinner("line" if plain else "dots", style="cyan")
        self._now: tuple[str, int, int, str] | None = None
        self._since = time.monotonic()
        self._live = Live(
            get_renderable=self._moving, console=self._console, refresh_per_second=12.5, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip

    def __enter__(self) -> _Terminal:
        self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._now = None
        self._live.stop()

    def chapter(self, title: str) -> None:
        from rich.text import Text

        self._now = None
        self._console.print()
        self._console.print(Text(title, "bold"))

    def working(self, text: str, done: int = 0, total: int = 0, detail: str = "") -> None:
        if self._now is None or self._now[0] != text:
            self._since = time.monotonic()
        self._now = (text, done, total, detail)

    def done(self, text: str, detail: str = "") -> None:
        self._line(self._marks[0], "green", text, detail)

    def failed(self, text: str, detail: str = "") -> None:
        self._line(self._marks[1], "bold red", text, detail)

    def _line(self, mark: str, style: str, text: str, detail: str) -> None:
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        self._now = None
        beside = width(mark) + width(text) + width(detail) + 5 <= self._console.width
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, overflow="fold")
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(Text(f" {mark}", style), Text(text), Text(detail if beside else "", "dim"))
        self._console.print(grid)
        if detail and not beside:
            self._console.print(Padding(Text(detail, "dim"), (0, 0, 0, 3 + width(mark))))

    def _moving(self) -> RenderableType:
        """The line in motion; called by rich's own thread some twelve times a second."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        now = self._now
        if now is None:
            return Text()
        text, done, total, detail = now
        elapsed = time.monotonic() - self._since
        grid = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(total, 1), completed=min(done, total), width=24) if total else Text()
        shown = duration(elapsed) if elapsed > PATIENCE_SECONDS else ""
        grid.add_row(Text(), self._spinner, Text(text), bar, Text(detail, "dim"), Text(shown, "dim"))
        return grid
