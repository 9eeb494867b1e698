"""What every command is made of: the context object, and click classes whose help is translated and has examples.

A command module defines its commands so::

    @command("snapshots", help=N_("List the snapshots of a vault."), examples=["vaultd snapshots patients"])
    @click.argument("vault")
    @pass_cli
    def snapshots_command(cli: Cli, vault: str) -> int: ...

It returns an exit code of ``vaultd.errors`` (or None for 0), or raises a ``VaultdError``; it calls ``cli.emit`` once
with the object of ``--json`` and ``cli.say`` for what people read. Heavy modules are imported inside the function.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd import places
from vaultd.config.endpoint import DEFAULT_FILE
from vaultd.errors import VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.config import Config
    from vaultd.control.client import Client
    from vaultd.ledger.events import Body

DEMO_MARKER = "demo.json"
"""Beside a configuration that `vaultd demo --keep` made."""


def default_config() -> Path:
    """The configuration file when ``--config`` is not given."""
    return Path(os.environ.get("VAULTD_CONFIG") or DEFAULT_FILE)


class Cli:
    """What the global options say, and the way out for results: one JSON object, or text for people."""

    def __init__(self) -> None:
        self.file = default_config()
        self.json = False
        self.debug = False
        self.emitted = False
        self._config: Config | None = None
        self._places: places.Places | None = None

    def config(self) -> Config:
        """The whole configuration, checked. Imports pydantic: not for commands that must start at once."""
        if self._config is None:
            from vaultd import config

            self._config = config.load(self.file)
            if self.file.with_name(DEMO_MARKER).exists():
                from vaultd.demo.kept import running_server

                # Until the command ends; the server of a kept demo is nobody's service.
                click.get_current_context().find_root().with_resource(running_server(self.file))
        return self._config

    def places(self) -> places.Places:
        """Where state folder and control socket are: cheap, and without the rest of the configuration."""
        if self._places is None:
            self._places = places.locate(self.file)
        return self._places

    def record(self, body: Body) -> None:
        """Leave an event for the ledger of this host, where it has a state; what cannot be left is said."""
        from vaultd import custody

        if not self.file.exists():
            return
        try:
            custody.leave(self.places().state, body)
        except (VaultdError, OSError) as error:
            self.note(_("This is not on record: {error}").format(error=error))

    def client(self) -> Client:
        """A client of the running daemon; its calls raise NotRunningError when there is none."""
        from vaultd.control.client import Client

        return Client(self.places().socket)

    def say(self, text: str = "") -> None:
        """A line for people on stdout; nothing with ``--json``."""
        if not self.json:
            click.echo(text)

    def note(self, text: str) -> None:
        """A line for people on stderr, beside the result; nothing with ``--json``."""
        if not self.json:
            click.echo(text, err=True)

    def emit(self, document: dict[str, Any]) -> None:
        """The one object of ``--json`` (docs/json.md); nothing without it. Times and sizes are numbers."""
        self.emitted = True
        if self.json:
            self.print_json(document)

    def print_json(self, document: dict[str, Any], *, err: bool = False) -> None:
        """One JSON object on one line."""
        import json

        text = json.dumps(document, ensure_ascii=False, separators=(", ", ": "))
        # A lone surrogate (a file name that is not UTF-8) must not stop the output: names.as_json avoids them.
        data = text.encode("utf-8", "backslashreplace") + b"\n"
        stream = sys.stderr if err else sys.stdout
        click.echo(data, file=getattr(stream, "buffer", stream), nl=False)


def pass_cli(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the command gets the Cli as its first argument."""
    return click.make_pass_decorator(Cli)(function)


def _set_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Cli).json = True


def json_option() -> click.Option:
    """``--json``, also accepted after the name of a command."""
    return click.Option(
        ["--json"], is_flag=True, expose_value=False, is_eager=True, callback=_set_json,
        help=N_("Print one JSON object instead of text for people."),
    )  # fmt: skip


class _Translated(click.Command):
    """Help is kept as msgids and translated when it is shown, so that ``--lang`` counts wherever it stands."""

    examples: Sequence[str] = ()

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The description, paragraph by paragraph."""
        for part in (_(self.help) if self.help else "").split("\n\n"):
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(part)

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence of the help."""
        known = self.short_help or self.help
        text = _(known).partition("\n\n")[0] if known else ""
        return text.split(": ")[0].split("：")[0].split("。")[0].split(". ")[0].rstrip(".")

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters with their help in the chosen language."""
        return [_translated(param) for param in super().get_params(ctx)]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, as they are to be typed."""
        if self.examples:
            with formatter.section(_("Examples")):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def _translated(param: click.Parameter) -> click.Parameter:
    text = getattr(param, "help", None)
    if not text:
        return param
    shown = copy.copy(param)
    shown.help = _(text)  # options have it, and arguments since click 8.4
    return shown


class Command(_Translated):
    """A command with examples in its help and ``--json`` among its options."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        if not any("--json" in param.opts for param in self.params):
            self.params.append(json_option())


class Group(_Translated, click.Group):
    """A group of commands whose modules are imported when one of them is used.

    ``lazy``: name -> ("module:attribute", short help msgid); the order is that of the help.
    """

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), lazy: dict[str, tuple[str, str]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.lazy = lazy or {}

    def command_of(
        self, name: str, *, help: str, examples: Sequence[str]
    ) -> Callable[[Callable[..., Any]], click.Command]:
        """Decorator: a command of this group, as ``command`` makes one."""

        def make(function: Callable[..., Any]) -> click.Command:
            made = command(name, help=help, examples=examples)(function)
            self.add_command(made)
            return made

        return make

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which they were given."""
        return list(dict.fromkeys([*self.lazy, *self.commands]))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now if it is lazy."""
        if cmd_name in self.lazy and cmd_name not in self.commands:
            module, _colon, attribute = self.lazy[cmd_name][0].partition(":")
            found = getattr(import_module(module), attribute)
            if not isinstance(found, click.Command):
                raise TypeError(f"{module}:{attribute} is not a command")
            self.commands[cmd_name] = found
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and short helps, without importing the lazy ones."""
        rows = [(name, _(short)) for name, (_where, short) in self.lazy.items()]
        rows += [
            (name, found.get_short_help_str()) for name, found in self.commands.items() if name not in self.lazy
        ]  # fmt: skip
        with formatter.section(_("Commands")):
            formatter.write_dl(rows)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options first, then commands."""
        _Translated.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        _Translated.format_epilog(self, ctx, formatter)


def command(name: str, *, help: str, examples: Sequence[str]) -> Callable[[Callable[..., Any]], Command]:
    """Decorator: a command of vaultd. ``help`` is marked with ``N_``; ``examples`` are lines to be typed."""

    def make(function: Callable[..., Any]) -> Command:
        return click.command(name, cls=Command, help=help, examples=examples)(function)

    return make


def group(name: str, *, help: str, examples: Sequence[str]) -> Callable[[Callable[..., Any]], Group]:
    """Decorator: a group of commands (``target``, ``alert``)."""

    def make(function: Callable[..., Any]) -> Group:
        return click.group(name, cls=Group, help=help, examples=examples)(function)

    return make
