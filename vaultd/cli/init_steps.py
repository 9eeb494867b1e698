"""The steps of `vaultd init` for one target: its secrets, the server's host key, the login, the repository."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import click

from vaultd import keys, sftp, targets
from vaultd.cli.base import Cli
from vaultd.cli.init_paper import TargetState, on_the_server
from vaultd.config import Config, TargetConfig
from vaultd.errors import AuthenticationError, ConfigError, HostKeyError, MissingRepositoryError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.restic import commands


def secrets(cli: Cli, config: Config, target: TargetConfig, *, ask: bool, enter_password: bool) -> TargetState:
    """SSH key and password of a target: made unless they are there."""
    key_made = keys.ensure_identity(target.identity, f"vaultd@{config.host.name}")
    if key_made:
        cli.say(_("made the SSH key {file}").format(file=display(target.identity)))
    password = None
    if enter_password and not target.password_file.exists():
        if not ask:
            raise ConfigError(
                _("the password cannot be asked for"),
                _("--batch and --json never ask"),
                _("write it into {file} (mode 0600) and leave out --enter-password").format(file=target.password_file),
            )
        prompt = _("Password of the repository of {name}, from paper").format(name=target.name)
        password = click.prompt(prompt, hide_input=True, err=True).strip()
    password_made = keys.ensure_password(target.password_file, password)
    if password_made:
        cli.say(_("wrote the repository's password to {file}").format(file=display(target.password_file)))
    return TargetState(target, [], key_made=key_made, password_made=password_made)


def off_site(cli: Cli, config: Config, state: TargetState, host_keys: Sequence[str], *, ask: bool) -> None:
    """Host key, login and repository of a target; each step is skipped when it is done already."""
    if state.key_made:
        on_the_server(cli, state.target)
        cli.say()
    state.fingerprints = _pin(cli, config, state.target, host_keys, ask=ask)
    _log_in(cli, config, state, ask=ask)
    _open_or_make(cli, config, state)


def _pin(cli: Cli, config: Config, target: TargetConfig, host_keys: Sequence[str], *, ask: bool) -> list[str]:
    """The fingerprints of the pinned host keys, pinned now if the fingerprint is confirmed."""
    file = config.known_hosts(target)
    wanted = {_fingerprint(text) for text in host_keys}
    what = _("the host key of {host} is not trusted").format(host=target.host)
    pinned = [key.fingerprint for key in sftp.pinned_keys(file, target.host, target.port)]
    if pinned:
        if wanted and len(config.target) == 1 and not wanted.intersection(pinned):
            why = _("{pinned} is pinned, not {wanted}").format(pinned=_joined(pinned), wanted=_joined(wanted))
            raise HostKeyError(what, why, _("if the server's owner has changed it: `vaultd target trust`"))
        return pinned
    found = sftp.fetch_host_key(target.host, target.port)
    shown = [key.fingerprint for key in found]
    if wanted:
        found = [key for key in found if key.fingerprint in wanted]
        if not found:
            why = _("the server shows {found}, not {wanted}").format(found=_joined(shown), wanted=_joined(wanted))
            raise HostKeyError(what, why, _("somebody may be in between: ask the server's owner"))
    elif not ask:
        why = _("nobody has confirmed its fingerprint, {found}").format(found=_joined(shown))
        raise HostKeyError(what, why, _("compare it with the server's owner, then give --host-key SHA256:..."))
    else:
        cli.say(_("The server {host} shows this host key:").format(host=target.host))
        for key in found:
            cli.say(f"  {key.type} {key.fingerprint}")
        cli.say(_("Compare it with what the server's owner says, by telephone or on paper, not by this line."))
        if not click.confirm(_("Is it the same?"), default=False, err=True):
            raise HostKeyError(
                what, _("its fingerprint was not confirmed"), _("run `vaultd init` again when you know it")
            )
    sftp.trust(file, target.host, target.port, found)
    return [key.fingerprint for key in found]


def _log_in(cli: Cli, config: Config, state: TargetState, *, ask: bool) -> None:
    """Log in with the key; while the server refuses it, show what has to go there, and wait if someone can answer."""
    again = not state.key_made  # else it has just been shown
    while True:
        try:
            with sftp.connect(state.target, config.known_hosts(state.target)):
                return
        except AuthenticationError as error:
            if again:
                on_the_server(cli, state.target)
                cli.say()
            if not ask:
                hint = _("put the public key {file} on the server, then run `vaultd init` again")
                hint = hint.format(file=display(keys.public_path(state.target.identity)))
                raise AuthenticationError(error.what, error.why, hint) from None
            cli.note(_("The server does not accept the key yet."))
            click.prompt(
                _("Press Enter when the line is there (Ctrl-C: later; `vaultd init` goes on from here)"),
                default="", show_default=False, prompt_suffix=" ", err=True,
            )  # fmt: skip
            again = True


def _open_or_make(cli: Cli, config: Config, state: TargetState) -> None:
    """Open the repository with the password; make it where there is none."""
    repository = targets.repository(config, state.target)
    try:
        state.repository = asyncio.run(commands.repository_id(repository))
        cli.say(_("the repository of {name} opens").format(name=state.target.name))
    except MissingRepositoryError:
        state.repository = asyncio.run(commands.init(repository))
        state.repository_made = True
        cli.say(_("made the repository of {name}").format(name=state.target.name))
    except AuthenticationError as error:
        if state.password_made:  # made up or mistyped in this very run, and good for nothing
            state.target.password_file.unlink()
            hint = _("run `vaultd init --enter-password` with its password, or give the target another path")
            raise AuthenticationError(error.what, error.why, hint) from None
        raise


def _fingerprint(text: str) -> str:
    """The fingerprint of what --host-key was given: itself, or that of a line "ssh-ed25519 AAAA..."."""
    import base64
    import binascii
    import hashlib

    text = text.strip()
    if text.startswith("SHA256:"):
        return text.rstrip("=")
    for word in text.split():
        try:
            blob = base64.b64decode(word, validate=True)
        except binascii.Error:
            continue
        if blob.startswith(b"\0\0\0"):  # the length of the name of the key's type
            return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")
    raise ConfigError(
        "--host-key",
        _("found {found}; allowed: {allowed}").format(
            found=text, allowed=_("a fingerprint such as SHA256:..., or a line of known_hosts")
        ),
    )


def _joined(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
