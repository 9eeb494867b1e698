"""How old the newest anchor of each kind is: from the names in ``ledger/anchors``, and one file of each."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from vaultd.anchor import cosignature, kept, timestamp
from vaultd.anchor.local import unreadable
from vaultd.config import Config
from vaultd.ledger import checkpoint, note
from vaultd.ledger.folder import LogFolder

Kind = Literal["mirror", "anchor", "witness", "timestamp"]


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest of one kind, of one target, witness or authority. A ``mirror`` is no anchor.

    ``size`` and ``at`` (seconds since 1970) are None where there is none yet. ``at`` of a witness or an authority is by
    its clock, of a copy when it was first read back. ``behind``: how many signed entries it does not cover.
    ``uncovered_since``: when the first checkpoint beyond it was signed, None when it covers the newest.
    """

    kind: Kind
    name: str
    size: int | None
    at: float | None
    behind: int
    uncovered_since: float | None

    @property
    def is_anchor(self) -> bool:
        """Whether this host's root cannot change it."""
        return self.kind != "mirror"

    def age(self, now: float | None = None) -> float | None:
        """Seconds since it was made; None when there is none."""
        return None if self.at is None else max(0.0, (time.time() if now is None else now) - self.at)

    def overdue(self, policy: float, now: float | None = None) -> bool:
        """Whether an alert is due: something is signed that it does not cover, and both are older than the policy.
        A log in which nothing happens needs no new anchor."""
        if self.uncovered_since is None:
            return False
        moment = time.time() if now is None else now
        return moment - max(self.uncovered_since, self.at or 0.0) > policy


def standings(config: Config, folder: LogFolder, anchors: Collection[str] = ()) -> list[Standing]:
    """Each configured target, witness and authority, in this order. ``anchors``: the targets that ``probe`` has proved.

    Such a target has two: the mirror, and the anchor, which is what the server's copies have. Raises LedgerError.
    """
    rows: list[tuple[Kind, str, str]] = []
    for target in config.target:
        rows.append(("mirror", kept.MIRROR, target.name))
        if target.name in anchors:
            rows.append(("anchor", kept.ANCHORED, target.name))
    rows += [("witness", kept.WITNESS, one.name) for one in config.ledger.witness]
    rows += [("timestamp", kept.TIMESTAMP, one.name) for one in config.ledger.timestamp]
    try:
        signed = folder.kept_sizes()
        return [_standing(folder, kind, where, name, signed) for kind, where, name in rows]
    except OSError as error:
        raise unreadable(folder, error) from error


def newest(found: Collection[Standing]) -> Standing | None:
    """The anchor that covers the most, the newest of equals: what a rewritten history would have to get past."""
    made = [one for one in found if one.is_anchor and one.size is not None]
    return max(made, key=lambda one: (one.size or 0, one.at or 0.0), default=None)


def _standing(folder: LogFolder, kind: Kind, where: str, name: str, signed: list[int]) -> Standing:
    size, at = _newest(folder, where, name)
    beyond = next((one for one in signed if size is None or one > size), None)
    since = None if beyond is None else folder.kept_file(beyond).stat().st_mtime
    return Standing(kind, name, size, at, max(0, (signed[-1] if signed else 0) - (size or 0)), since)


def _newest(folder: LogFolder, where: str, name: str) -> tuple[int | None, float | None]:
    """The largest size of which a readable file is kept; what cannot be read is for ``verify``."""
    for size in reversed(kept.sizes(folder, where, name)):
        file = kept.file_of(folder, where, name, size)
        if where == kept.MIRROR or where == kept.ANCHORED:
            return size, file.stat().st_mtime
        try:
            return size, _time(where, kept.read(file), size)
        except ValueError:
            continue
    return None, None


def _time(where: str, content: bytes, size: int) -> float:
    if where == kept.TIMESTAMP:
        return timestamp.time_of(content).timestamp()
    found = note.parse(content)
    if checkpoint.parse(found.text).size != size:
        raise ValueError("it is of another size")
    return float(cosignature.time_of(found.signatures[-1]))
