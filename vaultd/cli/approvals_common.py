"""What the commands of approvals and persons share: the state, how somebody signs, and how requests look."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.format import local, parse_rfc3339
from vaultd.errors import ConfigError, NotAuthorisedError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.approvals.signing import Sign
    from vaultd.cli.base import Cli
    from vaultd.control.client import Client
    from vaultd.store import Store

STATES = {
    "open": N_("open"), "used": N_("used"), "expired": N_("expired"), "withdrawn": N_("withdrawn"),
}  # fmt: skip
ACTIONS = {
    "warning-lift-1": N_("lift a warning of level I"), "evacuation-end": N_("end an evacuation"),
    "evacuation-late": N_("an evacuation that was started"), "plain-export": N_("export files unencrypted"),
    "destruction": N_("destroy media"), "forget": N_("remove snapshots or records"),
    "person": N_("accept a person"), "transfer": N_("hand media over"),
}  # fmt: skip


@contextlib.contextmanager
def opened(cli: Cli) -> Iterator[Store]:
    """The state, to be changed: by root or the daemon's user."""
    from vaultd import files
    from vaultd.cli.places import require_owner
    from vaultd.custody import give_to_owner
    from vaultd.store import Store
    from vaultd.verify.coverage import leaver

    state = cli.config().host.state
    require_owner(cli)
    files.make_private_directory(state)
    database = cli.places().database
    if not database.exists():
        database.touch(mode=0o600)
        give_to_owner(state, database)
    store = Store(database)
    store.alerts.on_change = leaver(state)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def reading(cli: Cli) -> Iterator[Store]:
    """The state, to be read. Raises StateError where there is none."""
    from vaultd.store import Store

    store = Store(cli.places().database, read_only=True)
    try:
        yield store
    finally:
        store.close()


def signing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--key``, ``--signature``, ``--as``, ``--print``."""
    options = [
        click.option("--key", metavar="FILE", type=click.Path(path_type=Path),
                     help=N_("Your private SSH key; or its .pub, whose other half the agent has "
                             "[default: the one in ~/.ssh]")),
        click.option("--signature", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
                     help=N_("What ssh-keygen -Y sign wrote elsewhere.")),
        click.option("--as", "name", default="", metavar="NAME", help=N_("Who signs [default: whoever's key it is]")),
        click.option("--print", "only_print", is_flag=True,
                     help=N_("Print the text to be signed, and nothing else.")),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def signer(cli: Cli, key: Path | None, signature: Path | None, name: str) -> Sign:
    """Makes the signature in the one way that was chosen; without one, by the key in ~/.ssh that is of a [[person]].
    Raises ConfigError."""
    from vaultd.approvals import NAMESPACE, sshsig

    if signature is not None and key is None:
        return lambda _statement: sshsig.read(signature)
    own = key.expanduser() if key is not None else _own_key(cli, name)
    if own is not None and signature is None:
        return lambda statement: sshsig.sign(own, statement, NAMESPACE)
    raise ConfigError(
        _("the signature"), _("one of --key and --signature is needed"),
        _("to sign elsewhere: --print there, ssh-keygen -Y sign -n {name} -f KEY FILE, and --signature here").format(
            name=NAMESPACE),
    )  # fmt: skip


def _own_key(cli: Cli, name: str) -> Path | None:
    """The key of who runs this: in ~/.ssh, of a person of the configuration; None where there is none."""
    from vaultd.approvals import persons, sshsig
    from vaultd.approvals.accounts import account
    from vaultd.approvals.faults import SshSignatureError

    people = [one for one in cli.config().person if not name or one.name == name]
    wanted = {found for one in people if (found := persons.fingerprint(one))}
    for home in dict.fromkeys((Path.home(), Path(os.path.expanduser(f"~{account()}")))):
        for public in sorted(home.glob(".ssh/*.pub")):
            try:
                if sshsig.fingerprint(public.read_text("utf-8", "replace")) in wanted:
                    private = public.with_suffix("")
                    return private if private.exists() else public  # the agent has the other half
            except (OSError, SshSignatureError):
                continue
    return None


def by_socket(cli: Cli) -> Client | None:
    """Who may not read the state asks the daemon: its client; None for root and the daemon's user."""
    from vaultd.cli.places import require_owner

    try:
        require_owner(cli)
    except NotAuthorisedError:
        return cli.client()
    return None


def found(cli: Cli, number: int) -> dict[str, Any]:
    """A request, from the state or the daemon. Raises NoRequestError."""
    from vaultd import approvals

    client = by_socket(cli)
    if client is not None:
        return client.approval(number)
    with reading(cli) as store:
        return approvals.find(store, number).as_json()


def print_statement(cli: Cli, one: dict[str, Any]) -> None:
    """The text that is signed, byte for byte."""
    cli.emit({"version": 1, "request": one["request"], "text": one["statement"]})
    if not cli.json:
        click.echo(one["statement"].encode(), nl=False)


def request_lines(one: dict[str, Any]) -> list[str]:
    """A request (docs/json.md) for people."""
    state, made = _(STATES.get(one["state"], one["state"])), local(parse_rfc3339(one["made"]))
    if one["late"] and one["state"] == "open":
        state = _("owed since {moment}").format(moment=made)
    lines = [
        _("Request {number}: {action}, {state}").format(
            number=one["request"], action=_(ACTIONS.get(one["action"], one["action"])), state=state),
        "  " + _("asked for by {name}, {moment}").format(name=one["requester"], moment=made),
    ]  # fmt: skip
    if not one["late"]:
        lines.append("  " + _("good until {moment}").format(moment=local(parse_rfc3339(one["expires"]))))
    lines += [
        f"  {name}: {_shown(value)}" for name, value in one["parameters"].items()
        if name != "salt" and value not in (None, "", [], 0)
    ]  # fmt: skip
    for by in one["approvals"]:
        text, moment = _("approved by {name} as {role}, {moment}, with {key}"), local(parse_rfc3339(by["at"]))
        lines.append("  " + text.format(name=by["person"], role=by["role"], moment=moment, key=by["key"]))
    if one["missing"]:
        lines.append("  " + _("it lacks the approval of: {roles}").format(roles=", ".join(one["missing"])))
    return lines


def _shown(value: object) -> str:
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else "?" for one in text)
