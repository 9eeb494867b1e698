"""Which kits this host has made: in the state database, which comes back with the host. Nothing in it is secret."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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


@dataclass(frozen=True, slots=True)
class Standing:
    """Which kit counts on the day it is needed: the newest that was handed out and not revoked, one that is good today
    before one that has expired. ``kit`` None: there is none. ``lacking``: targets that it does not open."""

    kit: Known | None = None
    expired: bool = False
    lacking: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """``none``, ``expired`` or ``valid``."""
        if self.kit is None:
            return "none"
        return "expired" if self.expired else "valid"


def standing(store: Store, targets: Iterable[str], day: date) -> Standing:
    """What stands on a day. ``targets``: the names of all that there are."""
    kits = [kit for kit in known(store) if kit.state == VALID]
    if not kits:
        return Standing()
    good = [kit for kit in kits if not kit.expired(day)]
    newest = (good or kits)[-1]
    lacking = tuple(
        name for name in targets
        if name not in newest.keys or store.target_repository(name) not in (None, newest.repositories[name])
    )  # fmt: skip
    return Standing(newest, not good, lacking)


def settle(store: Store, day: date) -> None:
    """Raise the alert of kits that have expired, or clear it: when one is good, or none was handed out."""
    found = standing(store, (), day)
    if found.kit is not None and found.expired:
        store.alerts.raise_("kit-expired", detail={"kit": found.kit.id, "day": found.kit.expires or ""})
    else:
        store.alerts.clear("kit-expired")


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
