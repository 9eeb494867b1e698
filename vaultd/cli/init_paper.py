"""What `vaultd init` shows: what has to be done on the server, and what belongs on paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vaultd import keys
from vaultd.cli.base import Cli
from vaultd.i18n import _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.config import TargetConfig


@dataclass(slots=True)
class TargetState:
    """How far a target is; ``repository`` is the id, empty until it is known."""

    target: TargetConfig
    fingerprints: list[str]
    repository: str = ""
    repository_made: bool = False
    key_made: bool = False
    password_made: bool = False

    def as_json(self, show_password: bool) -> dict[str, Any]:
        """One element of ``targets`` in the object of ``init``; the password only when it was asked for."""
        target = self.target
        found: dict[str, Any] = {
            "name": target.name, "url": paper_url(target), "host_key_fingerprints": self.fingerprints,
            "identity": str(target.identity), "public_key": keys.public_line(target.identity),
            "authorized_keys": keys.authorized_keys_line(target.identity), "password_file": str(target.password_file),
            "repository": self.repository or None, "repository_made": self.repository_made,
            "ready": bool(self.repository),
        }  # fmt: skip
        if show_password:
            found["password"] = target.password_file.read_text("utf-8").strip()
        return found


def paper_url(target: TargetConfig) -> str:
    """The repository's URL as restic takes it anywhere, with nothing of this machine's settings."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"sftp://{target.user}@{host}:{target.port}/{target.path}"


def on_the_server(cli: Cli, target: TargetConfig) -> None:
    """Where the public key has to go."""
    cli.say()
    cli.say(_("On the server {host}, add this line to the file .ssh/authorized_keys of the account {user}:").format(
        host=target.host, user=target.user))  # fmt: skip
    cli.say()
    cli.say(keys.authorized_keys_line(target.identity))
    cli.say()
    cli.say(_("It lets this key use SFTP and nothing else. Best the account has no other use."))


def on_paper(cli: Cli, state: TargetState, show_password: bool) -> None:
    """What a new machine needs to get everything back when this one is lost."""
    target = state.target
    cli.say()
    cli.say(
        _("Write this on paper and keep it in a safe, away from this machine (target {name}):").format(name=target.name)
    )
    cli.say("  " + _("repository:           {url}").format(url=paper_url(target)))
    cli.say("  " + _("repository id:        {id}").format(id=state.repository))
    for fingerprint in state.fingerprints:
        cli.say("  " + _("host-key fingerprint: {fingerprint}").format(fingerprint=fingerprint))
    if show_password:
        password = target.password_file.read_text("utf-8").strip()
        cli.say("  " + _("password:             {password}").format(password=password))
    else:
        cli.say("  " + _("password:             shown by `cat {file}` (or `vaultd init --show-password`)").format(
            file=display(target.password_file)))  # fmt: skip
    cli.say(_("Without the password nobody can read the repository, you included."))
