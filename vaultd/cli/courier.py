"""``vaultd courier``: the process that sends notices; ``vaultd-courier`` is the same."""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DONE
from vaultd.i18n import N_

if TYPE_CHECKING:
    from vaultd.config.notify import Told


@command(
    "courier",
    help=N_(
        "Send the notices of the outbox, in the foreground (systemd runs this). It reads [notify], [[person]] and the "
        "files of addresses, and no vault."
    ),
    examples=["vaultd courier", "vaultd --config /etc/vaultd/vaultd.toml courier"],
)
@pass_cli
def courier_command(cli: Cli) -> int:
    """Until SIGTERM or Ctrl-C."""
    from vaultd.notices.courier import Courier

    if not cli.debug:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    for name in ("apprise", "urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # their words hold addresses, with --debug too
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    part = _Part(cli)
    told = part.read()
    Courier(told.host.state, told, part.changed).run(lambda: bool(stopped))
    cli.emit({"version": 1, "ended": True})
    return EXIT_DONE


class _Part:
    """The courier's part of the configuration, read again when the file is another one."""

    def __init__(self, cli: Cli) -> None:
        self._file = cli.file
        self._known: tuple[int, ...] = ()

    def read(self) -> Told:
        """Raises ConfigError."""
        from vaultd import places
        from vaultd.config.notify import told

        self._known = self._mark()
        return told(places.locate(self._file).raw, self._file)

    def changed(self) -> Told | None:
        """What it says now, None where it is as it was. Raises ConfigError once for each change."""
        return None if self._mark() == self._known else self.read()

    def _mark(self) -> tuple[int, ...]:
        try:
            found = os.stat(self._file)
        except OSError:
            return self._known  # it is being replaced, or closed to us: what was read holds
        return found.st_ino, found.st_mtime_ns, found.st_size


def main() -> int:
    """The script ``vaultd-courier``: options before the command are those of ``vaultd``."""
    from vaultd.cli.main import main as vaultd_main

    return vaultd_main([*sys.argv[1:], "courier"])
