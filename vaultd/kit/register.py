"""Which kits this host has made: in the state database, which comes back with the host. Nothing in it is secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from vaultd.store import Store

PREFIX = "kit:"
MAKING, VALID, REVOKED = "unfinished", "valid", "revoked"


@dataclass(frozen=True, slots=True)
class Known:
    """A kit. ``keys``: the restic key's id at each target; ``identities``: the line of authorized_keys there.

    ``state``: ``unfinished`` (it was never handed out: revoke it), ``valid``, ``revoked``. ``left``: the targets where
    a revoked kit's key still has to be removed. Times are RFC 3339, ``expires`` a date or None.
    """

    id: str
    created: str
    expires: str | None
    threshold: int
    shares: int
    state: str = MAKING
    keys: Mapping[str, str] = field(default_factory=dict)
    identities: Mapping[str, str] = field(default_factory=dict)
    repositories: Mapping[str, str] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    def expired(self, today: date) -> bool:
        """Whether its time is over."""
        return self.expires is not None and today > date.fromisoformat(self.expires)

    def with_key(self, target: str, key: str, identity: str, repository: str) -> Known:
        """The same, after a target got its key."""
        return replace(
            self, keys={**self.keys, target: key}, identities={**self.identities, target: identity},
            repositories={**self.repositories, target: repository},
        )  # fmt: skip


def today() -> date:
    """The day where this host is."""
    return datetime.now(UTC).astimezone().date()


def note(store: Store, kit: Known) -> None:
    """Keep what is known of a kit."""
    store.set_meta(PREFIX + kit.id, json.dumps(asdict(kit)))


def known(store: Store) -> list[Known]:
    """All kits, the oldest first."""
    found = [_of(json.loads(text)) for key in store.meta_keys(PREFIX) if (text := store.get_meta(key))]
    return sorted(found, key=lambda one: (one.created, one.id))


def _of(found: dict[str, Any]) -> Known:
    return Known(**{**found, "left": tuple(found["left"])})
