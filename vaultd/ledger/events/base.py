"""What every entry says besides the fields that all have, and what is kept as it is until it can go on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


class Body:
    """What an entry says besides the fields that all have."""

    __slots__: tuple[str, ...] = ()
    TYPE: ClassVar[str]


@dataclass(frozen=True)
class Given(Body):
    """An entry's type and fields as they are: what was kept until the ledger was in order again. ``at`` is then among
    the fields, when it happened."""

    TYPE: str  # type: ignore[misc]
    fields: Mapping[str, object]
