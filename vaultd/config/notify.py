"""[notify]: how people are told, by which channels, and how hard the courier tries.

``Told`` is all of the configuration that the courier reads: it is checked by itself, so that a fault in another table
silences nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from vaultd.config.endpoint import DEFAULT_STATE
from vaultd.config.values import AbsolutePath, Name, PositiveDuration, Table, refuse
from vaultd.errors import ConfigError
from vaultd.i18n import _

KINDS = ("warning", "evacuation", "alert", "approval", "test")
"""What a notice can be about."""

SEVERITIES = ("critical", "warning", "notice")
LANGUAGES = ("en", "zh_CN")


def _one_of(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        refuse(", ".join(f'"{name}"' for name in allowed))
    return str(value)


def _kind(value: Any) -> str:
    return _one_of(value, KINDS)


def _severity(value: Any) -> str:
    return _one_of(value, SEVERITIES)


def _language(value: Any) -> str:
    return _one_of(value, LANGUAGES)


def _way(value: Any) -> str:
    """A channel's name, or the file of a person's own address. Not both as in a path without its slash."""
    if not isinstance(value, str) or not value or any(character < " " for character in value):
        refuse(_("the name of a [[notify.channel]], or the absolute path of a file with this person's own address"))
    return value


Kind = Annotated[str, BeforeValidator(_kind)]
Severity = Annotated[str, BeforeValidator(_severity)]
Language = Annotated[str, BeforeValidator(_language)]
Way = Annotated[str, BeforeValidator(_way)]


class ChannelConfig(Table):
    """[[notify.channel]]: a way to tell people. ``url_file`` holds one address as apprise writes it, and is as secret
    as a password. ``kinds`` (in the file: ``for``): only notices of these; empty: of all.

    ``everybody``: it gets what is addressed to nobody in particular. Without that, only what is for a person who names
    it.
    """

    name: Name
    url_file: AbsolutePath
    kinds: list[Kind] = Field(default_factory=list, alias="for")
    everybody: bool = True

    def takes(self, kind: str) -> bool:
        """Whether notices of this kind go there. A test goes everywhere."""
        return not self.kinds or kind in self.kinds or kind == "test"


class NotifyConfig(Table):
    """[notify]. Times are seconds. ``attempts``: so often a notice is tried at a channel, with waits that grow from
    ``first_wait`` to ``longest_wait``; ``timeout``: so long one try may take; ``late``: what waits longer is an alert.

    ``alerts``: alerts of these severities become notices. ``lang``: the language of what vaultd itself writes; None:
    that of its process.
    """

    channel: list[ChannelConfig] = Field(default_factory=list)
    alerts: list[Severity] = Field(default=["critical", "warning"])
    lang: Language | None = None
    allow_names: bool = False
    attempts: Annotated[int, Field(ge=1, le=10_000)] = 150
    first_wait: PositiveDuration = 5
    longest_wait: PositiveDuration = 600
    timeout: PositiveDuration = 30
    late: PositiveDuration = 120

    def channel_named(self, name: str) -> ChannelConfig | None:
        """The channel of that name."""
        return next((one for one in self.channel if one.name == name), None)


class _Part(BaseModel):
    """A table of which only some keys are wanted."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, hide_input_in_errors=True)


class _Host(_Part):
    name: str = ""
    state: AbsolutePath = DEFAULT_STATE


class _Person(_Part):
    name: str
    notify: list[Way] = Field(default_factory=list)


class _Vault(_Part):
    path: AbsolutePath


class Told(_Part):
    """What the courier knows: channels, who is told how, and which paths must not be told."""

    host: _Host = Field(default_factory=_Host)
    notify: NotifyConfig = Field(default_factory=NotifyConfig)
    person: list[_Person] = Field(default_factory=list)
    vault: list[_Vault] = Field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """The folders of the vaults."""
        return [one.path for one in self.vault]

    def ways_of(self, person: str) -> list[str]:
        """How a person is told: names of channels, paths of address files."""
        return next((list(one.notify) for one in self.person if one.name == person), [])


def told(raw: Mapping[str, Any], file: Path) -> Told:
    """The courier's part of a configuration as TOML reads it. Raises ConfigError; the whole file's faults, with their
    lines, are those of ``vaultd doctor``."""
    try:
        return Told.model_validate(dict(raw))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
        raise ConfigError(
            _("configuration {file}").format(file=file), f"{key}: {first['msg']}", _("see vaultd doctor")
        ) from None
