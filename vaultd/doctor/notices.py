"""Notices: whether somebody would send them, and whether the files of addresses are there and secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vaultd.config import Config
from vaultd.doctor.finding import FAULT, FINE, Finding
from vaultd.errors import StateError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.notices import lock


def check_notices(config: Config) -> Iterator[Finding]:
    """Look at the courier and at its files; nothing where nobody is to be told. ``vaultd notify test`` tells whether it
    arrives."""
    ways = [way for person in config.person for way in person.notify if way.startswith("/")]
    files = {str(channel.url_file): None for channel in config.notify.channel} | dict.fromkeys(ways)
    if not files:
        return
    for file in files:
        yield from _address(Path(file))
    try:
        runs = lock.held(config.host.state)
    except StateError as error:
        yield Finding.of("courier", error)
        return
    if runs:
        yield Finding(FINE, "courier", _("the courier runs: notices are sent"))
    else:
        mend = _("start it: systemctl start vaultd-courier")
        yield Finding(FAULT, "courier", _("the courier does not run: nobody is told of anything"), mend)


def _address(file: Path) -> Iterator[Finding]:
    try:
        mode = file.stat().st_mode
    except PermissionError:
        return  # the courier may see it, if this user may not
    except OSError as error:
        text = _("the address file {path}: {error}").format(path=display(file), error=error.strerror or str(error))
        yield Finding(FAULT, "address", text, _("make it: one line, an address as apprise writes it (docs/notices.md)"))
        return
    if mode & 0o077:
        text = _("the address file {path} is open to others, and is not used").format(path=display(file))
        yield Finding(FAULT, "address", text, f"chmod 600 {display(file)}")
