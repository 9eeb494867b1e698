"""The evacuation as commands reach it: by the daemon, or in the state folder where none answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import Any

from vaultd.cli.base import Cli
from vaultd.errors import ConfigError, NotRunningError, VaultdError
from vaultd.i18n import _

START_SECONDS = 15.0
LOG = "evacuation.log"
"""In the state folder: what a daemon says that an order has started."""

Document = dict[str, Any]


def document(cli: Cli) -> Document | None:
    """How far the one is that goes on."""
    try:
        return cli.client().evacuation()
    except NotRunningError:
        from vaultd.evacuate import order, room
        from vaultd.store import Store

        store = Store(cli.places().database, read_only=True)
        try:
            one = order.going_on(store)
            return None if one is None else room.document(cli.config(), store, one)
        finally:
            store.close()


def order(cli: Cli, said: dict[str, str]) -> tuple[Document, bool]:
    """Order one, or say more of the one that goes on."""
    try:
        return cli.client().evacuate(said)
    except NotRunningError:
        return order_in_store(cli, said)


def order_in_store(cli: Cli, said: dict[str, str]) -> tuple[Document, bool]:
    """Keep the order in the state folder: the next daemon takes it up."""
    from vaultd import approvals
    from vaultd.evacuate import company, order, room
    from vaultd.store import Store

    _needs_state(cli)
    given, config = dict(said), cli.config()
    level, category = given.pop("level", None), given.pop("category", None)
    store = Store(cli.places().database)
    try:
        details = order.Details(**given)
        if order.going_on(store) is None:
            details = company.filled(config, level, category, details)
        one, new = order.start(
            store, cli.places().state, approvals.caller(config), level=level, category=category, details=details
        )
        return room.document(config, store, one), not new
    finally:
        store.close()


def end(cli: Cli, note: str) -> Document | None:
    """End the one that goes on."""
    try:
        return cli.client().end_evacuation(note)
    except NotRunningError:
        from vaultd import approvals
        from vaultd.evacuate import company, order, room
        from vaultd.store import Store

        _needs_state(cli)
        config = cli.config()
        store = Store(cli.places().database)
        try:
            one = order.going_on(store)
            if one is None:
                return None
            return room.document(config, store, company.end(config, store, one, approvals.caller(config), note))
        finally:
            store.close()


def none_goes_on() -> VaultdError:
    """For what needs an evacuation."""
    return ConfigError(_("the evacuation"), _("none goes on"), _("order one: vaultd evacuate start"))


def _needs_state(cli: Cli) -> None:
    """A command never makes a database: without one there is nothing to evacuate."""
    if not cli.places().database.exists():
        raise NotRunningError(
            _("the daemon is not running"), _("and there is no state folder {path}").format(path=cli.places().state),
            _("is this the right configuration? See --config; set this host up: vaultd init"),
        )  # fmt: skip


def start_daemon(cli: Cli) -> str:
    """Start a daemon for an order that is kept: by systemd where its unit is there, else as a process of its own that
    outlives this terminal. "started"; "here" where neither could be: this process has to carry it out."""
    if _start_unit(cli) or _spawn(cli):
        return "started"
    return "here"


def _answers(cli: Cli, seconds: float, alive: subprocess.Popen[bytes] | None = None) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            cli.client().evacuation()
            return True
        except VaultdError:
            if alive is not None and alive.poll() is not None:
                return False
            time.sleep(0.1)
    return alive is not None and alive.poll() is None  # slow, but at work


def _start_unit(cli: Cli) -> bool:
    """Only for the configuration that the unit names, and where systemd runs this machine."""
    from vaultd.config.endpoint import DEFAULT_FILE

    systemctl = shutil.which("systemctl")
    if systemctl is None or cli.file != DEFAULT_FILE or not os.path.isdir("/run/systemd/system"):
        return False
    try:
        done = subprocess.run(
            [systemctl, "start", "vaultd.service"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=START_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and _answers(cli, START_SECONDS)


def _spawn(cli: Cli) -> bool:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        log = os.open(cli.places().state / LOG, flags, 0o600)
        try:
            child = subprocess.Popen(
                [sys.executable, "-m", "vaultd", "--config", str(cli.file.absolute()), "run"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)
    except OSError as error:
        cli.note(_("No daemon could be started: {error}").format(error=error))
        return False
    return _answers(cli, START_SECONDS, child)
