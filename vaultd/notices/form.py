"""The file of a notice: JSON, the same from the outbox to its end; the courier adds ``deliveries``.

    {"version": 1, "id": ..., "put": ns, "only": channel or null, "attempts": most or null,
     "notice": {"of", "kind", "title", "text", "recipients", "urgent", "drill"},
     "deliveries": [{"channel", "persons", "state", "attempts", "error", "at": ns}, ...]}

``deliveries`` is null until the courier has taken it. Who reads one does not trust who wrote it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from vaultd.notices.model import Notice

VERSION = 1
LARGEST = 1 << 18
"""Bytes: a larger file is none of ours."""

WAITING, SENT, FAILED = "waiting", "sent", "failed"
STATES = frozenset({WAITING, SENT, FAILED})
OWN = "own"
"""Stands for a channel where a person has an address of their own."""

NOWHERE = "-"
"""Stands for a channel where there is none."""

_ID = re.compile(r"[0-9a-f]{12}-[0-9a-f]{20}", re.ASCII)
_CHANNEL = re.compile(r"-|[a-z0-9-]{1,32}|own:[0-9]{1,3}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.:-]{0,80}", re.ASCII)
LONGEST = 20_000
"""Characters of a text at most."""

_MOST = 1000
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What becomes of a notice at one channel. ``persons``: whom it is for there; empty: whoever reads it. ``error`` is
    a word of docs/notices.md, never an address. ``at``: when that was so (ns)."""

    channel: str
    persons: tuple[str, ...] = ()
    state: str = WAITING
    attempts: int = 0
    error: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A notice with what is known of it. ``put``: when it was handed over (ns). ``only``: to this channel alone.
    ``attempts``: give up after so many, None: as configured."""

    id: str
    put: int
    notice: Notice
    only: str | None = None
    attempts: int | None = None
    deliveries: tuple[Delivery, ...] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing is to be sent any more."""
        return self.deliveries is not None and all(one.state != WAITING for one in self.deliveries)

    def with_delivery(self, number: int, delivery: Delivery) -> Kept:
        """The same with another state of one delivery."""
        known = list(self.deliveries or ())
        known[number] = delivery
        return replace(self, deliveries=tuple(known))


def new_id() -> str:
    """An id that nobody can guess; later ones sort behind earlier ones."""
    return f"{time.time_ns() // 1_000_000:012x}-{secrets.token_hex(10)}"


def put_at(number: str) -> int:
    """When the notice of an id was handed over (ns), to the millisecond."""
    return int(number.partition("-")[0], 16) * 1_000_000


def is_id(text: str) -> bool:
    """Whether this is an id of a notice."""
    return _ID.fullmatch(text) is not None


def encode(kept: Kept) -> bytes:
    """The file's content."""
    return json.dumps({"version": VERSION, **asdict(kept)}, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def decode(content: bytes, name: str) -> Kept:
    """Read it back; ``name`` is the id that it must have. Raises ValueError for what is not such a file."""
    try:
        document = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError("no notice of this version")
    if document.get("id") != name or not is_id(name):
        raise ValueError("another id than its name")
    return Kept(
        id=name, put=_number(document.get("put")), notice=_notice(document.get("notice")),
        only=_maybe(_text, document.get("only")), attempts=_maybe(_number, document.get("attempts")),
        deliveries=_maybe(_deliveries, document.get("deliveries")),
    )  # fmt: skip


def read(path: Path) -> Kept:
    """The notice in a file. Never follows a link, never waits for a pipe. Raises OSError, ValueError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("no regular file")
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError("too large")
    return decode(content, path.name.removesuffix(".json"))


def _notice(value: Any) -> Notice:
    if not isinstance(value, dict):
        raise ValueError("no notice")
    return Notice(
        of=_text(value.get("of")), kind=_text(value.get("kind")), title=_text(value.get("title")),
        text=_text(value.get("text")), recipients=_texts(value.get("recipients")), urgent=_flag(value.get("urgent")),
        drill=_flag(value.get("drill")),
    )  # fmt: skip


def _deliveries(value: Any) -> tuple[Delivery, ...]:
    if not isinstance(value, list) or len(value) > _MOST:
        raise ValueError("no list of deliveries")
    return tuple(_delivery(one) for one in value)


def _delivery(value: Any) -> Delivery:
    if not isinstance(value, dict) or value.get("state") not in STATES:
        raise ValueError("no delivery")
    error = _text(value.get("error"))
    if not _WORD.fullmatch(error):
        raise ValueError("no word for an error")
    channel = _text(value.get("channel"))
    if not _CHANNEL.fullmatch(channel):
        raise ValueError("no name of a channel")
    return Delivery(
        channel=channel, persons=_texts(value.get("persons")), state=str(value["state"]),
        attempts=_number(value.get("attempts")), error=error, at=_number(value.get("at")),
    )  # fmt: skip


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ValueError("no text")
    value.encode()  # a lone surrogate is a ValueError too
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST:
        raise ValueError("no list of texts")
    return tuple(_text(one) for one in value)


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError("no number")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("no flag")
    return value


def _maybe(read_as: Callable[[Any], _Read], value: Any) -> _Read | None:
    return None if value is None else read_as(value)
