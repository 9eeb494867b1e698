"""What a value of vaultd.toml may be: names, paths, durations, text. ``Table`` is what every table is made from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from vaultd.config.duration import seconds
from vaultd.i18n import _

RESERVED_NAMES = frozenset({"vaultd-state"})
"""``vaultd-state`` is the vault that holds vaultd's own state folder."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
# No leading dash: ssh would take it for an option.
_HOST = re.compile(r"[A-Za-z0-9:_][A-Za-z0-9.:_%-]{0,252}", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}\$?", re.ASCII)


def refuse(allowed: str) -> NoReturn:
    """Refuse a value; ``allowed`` is the end of the sentence "allowed: ..."."""
    raise PydanticCustomError("vaultd", "{allowed}", {"allowed": allowed})


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        refuse(_("1 to 32 characters of a-z, 0-9 and -, not beginning with -"))
    if value in RESERVED_NAMES:
        refuse(_("any other name: vaultd uses this one itself"))
    return value


def _absolute_path(value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        refuse(_("an absolute path, such as {example}").format(example='"/srv/records"'))
    path = os.fspath(value)
    if not path.startswith("/") or not _one_line(path):
        refuse(_("an absolute path on one line, such as {example}").format(example='"/srv/records"'))
    return Path("/" + path.lstrip("/"))


def _duration(value: Any) -> float:
    try:
        return seconds(value)
    except ValueError:
        refuse(_('a duration such as "2s", "15m", "1h" or "1d" (ms, s, m, h, d, w), or a number of seconds'))


def _positive_duration(value: Any) -> float:
    found = _duration(value)
    if found == 0:
        refuse(_('a duration longer than 0, such as "2s", "15m", "1h" or "1d"'))
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str) or not _one_line(value):
        refuse(_("text on one line"))
    return value


def _non_empty(value: Any) -> str:
    found = _text(value)
    if not found.strip():
        refuse(_("text on one line, not empty"))
    return found


def _host(value: Any) -> str:
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        refuse(_('a host name or an IP address without a port, such as "backup.example.org"'))
    return value


def _user(value: Any) -> str:
    if not isinstance(value, str) or not _USER.fullmatch(value):
        refuse(_("the name of an account on the server"))
    return value


def _file_name(value: Any) -> str:
    found = _non_empty(value)
    if "/" in found or found in {".", ".."} or len(found.encode()) > 255:
        refuse(_("a file name without /, at most 255 bytes"))
    return found


def _command(value: Any) -> list[str]:
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(word, str) and "\0" not in word for word in value)
        or not value[0]
    ):
        refuse(
            _("the program and its arguments as a list, such as {example}; no shell reads it").format(
                example='["pg_dump", "records"]'
            )
        )
    return value


def _one_line(value: str) -> bool:
    return not any(character < " " or character == "\x7f" for character in value)


Name = Annotated[str, BeforeValidator(_name)]
AbsolutePath = Annotated[Path, BeforeValidator(_absolute_path)]
Duration = Annotated[float, BeforeValidator(_duration)]
Host = Annotated[str, BeforeValidator(_host)]
User = Annotated[str, BeforeValidator(_user)]
FileName = Annotated[str, BeforeValidator(_file_name)]
Command = Annotated[list[str], BeforeValidator(_command)]
PositiveDuration = Annotated[float, BeforeValidator(_positive_duration)]
Text = Annotated[str, BeforeValidator(_text)]
NonEmpty = Annotated[str, BeforeValidator(_non_empty)]
Share = Annotated[float, Field(gt=0, le=1)]


class Table(BaseModel):
    """A table: unknown keys and other types are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)
