"""What people see when something goes wrong: two lines and an exit code; with ``--json`` one object.

The two lines are ``vaultd: what failed: why`` and ``hint: what to do``, on stderr. The object goes to stdout, so that a
program always finds one object there; if the command has already printed its own, to stderr.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType

import click

from vaultd.cli.base import Cli
from vaultd.errors import EXIT_FAILED, EXIT_USAGE, VaultdError
from vaultd.i18n import _
from vaultd.names import display

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
EXIT_PIPE_CLOSED = 141

EXPECTED = (VaultdError, click.ClickException, click.Abort, KeyboardInterrupt, OSError)
"""Everything but a bug."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: like Ctrl-C, so that what runs is ended in order."""


def report(cli: Cli, error: BaseException) -> int:
    """Show one of the ``EXPECTED`` errors; returns the exit code."""
    match error:
        case VaultdError():
            return _failed(cli, error)
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return EXIT_USAGE
        case click.UsageError():
            return _usage(cli, error)
        case click.ClickException():
            return _failed(cli, VaultdError(error.format_message()))
        case click.Abort():
            return _interrupted(cli, error.__context__)  # click.prompt: Ctrl-C, or the end of the input
        case KeyboardInterrupt():
            return _interrupted(cli, error)
        case BrokenPipeError() if error.filename is None:
            # Whoever read our output has gone: nobody is left to tell. The flush at exit must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_PIPE_CLOSED
        case OSError():
            return _failed(cli, _of_os_error(error))
    raise error


def _failed(cli: Cli, error: VaultdError) -> int:
    if cli.debug:
        import traceback

        traceback.print_exception(error)
    if cli.json:
        cli.print_json({"version": 1, "error": error.as_json()}, err=cli.emitted)
    else:
        click.echo(f"vaultd: {error}", err=True)
        if error.hint:
            click.echo(_("hint: {hint}").format(hint=error.hint), err=True)
    return error.exit_code


def _usage(cli: Cli, error: click.UsageError) -> int:
    path = error.ctx.command_path if error.ctx else "vaultd"
    shown = VaultdError(
        _("command line"), error.format_message().rstrip("."), _("see `{command} --help`").format(command=path)
    )
    shown.code, shown.exit_code = "usage", EXIT_USAGE
    return _failed(cli, shown)


def _interrupted(cli: Cli, cause: BaseException | None) -> int:
    if isinstance(cause, EOFError):
        return _failed(cli, VaultdError(_("the answer could not be read"), _("the input ended")))
    shown = VaultdError(
        _("interrupted"),
        "",
        _("nothing is lost: what is not off-site yet stays pending; run the command again to go on"),
    )
    shown.code = "interrupted"
    if sys.stderr.isatty():
        click.echo(err=True)  # after the terminal's ^C
    shown.exit_code = EXIT_TERMINATED if isinstance(cause, Terminated) else EXIT_INTERRUPTED
    return _failed(cli, shown)


def _of_os_error(error: OSError) -> VaultdError:
    what = display(error.filename) if error.filename is not None else _("system call")
    hint = _("run it as root, or as the user of the daemon") if isinstance(error, PermissionError) else ""
    return VaultdError(what, error.strerror or str(error), hint)


def internal_error(cli: Cli, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show an exception that nobody expected, as ``sys.excepthook``."""
    if cli.debug or issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    shown = VaultdError(
        _("internal error"), f"{kind.__name__}: {error}",
        _("this is a bug: run the command again with --debug and report what it prints"),
    )  # fmt: skip
    shown.code, shown.exit_code = "internal", EXIT_FAILED
    _failed(cli, shown)
