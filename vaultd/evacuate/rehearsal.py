"""A drill: the same daemon, the same order, the same line; with a payload and a repository of its own.

A host of its own is made in a folder of the state: a configuration with the real targets (each with ``-drill`` behind
its path), three vaults of one tier each, a state, a daemon. What the drill does is on record in its own store, and goes
from there into the real ledger, marked as a drill. Nothing of the real registers, catalogs or repositories is touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vaultd import files
from vaultd.config.model import Config
from vaultd.config.writing import toml_value
from vaultd.errors import BusyError
from vaultd.evacuate import order
from vaultd.i18n import _
from vaultd.ledger.entry import fields_of
from vaultd.ledger.events import EvacuationMeasured
from vaultd.store import Store
from vaultd.store.evacuations import ENDED, Evacuation

SUFFIX = "-drill"
FOLDER = "drills"
TIERS = 3
SHARES = (0.25, 0.25, 0.5)
"""Of the payload, by tier."""
SMALL_FILES = 200
"""In each tier, of 2 to 64 KiB: records; the rest of the payload is images of a few mebibytes."""
IMAGE_BYTES = 4 << 20
VAULT = "drill-{tier}"
SAMPLE = 25
"""So many files of each target are compared after they have come back."""

EVACUATION_TYPES = ("evacuation", "evacuation-tier", "evacuation-batch", "evacuation-measured")


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured at a target. Milliseconds from the order."""

    what: str
    target: str
    milliseconds: int
    files: int
    size: int
    differences: int = 0


@dataclass(slots=True)
class Rehearsal:
    """The folder of one drill. ``number`` is that of its evacuation; ``sockets``: a folder whose path is short, as the
    kernel wants it for a socket."""

    config: Config
    number: str
    folder: Path
    sockets: Path
    hashes: dict[str, dict[str, str]] = field(default_factory=dict)
    """SHA-256 of each file of the payload, by vault and name."""

    @property
    def file(self) -> Path:
        """Its configuration."""
        return self.folder / "vaultd.toml"

    @property
    def state(self) -> Path:
        """Its state folder."""
        return self.folder / "state"

    @property
    def socket(self) -> Path:
        """Its daemon's control socket."""
        return self.sockets / "vaultd.sock"

    def vault(self, tier: int) -> Path:
        """The folder of a tier's payload."""
        return self.folder / VAULT.format(tier=tier)

    def prepare(self, targets: Sequence[str]) -> None:
        """Write the configuration, and make the folders: nothing is in them but a marker."""
        files.make_private_directory(self.state)
        rows = ["[host]", f"name = {toml_value(self.config.host.name)}", f"state = {toml_value(self.state)}",
                f"restic = {toml_value(self.config.host.restic)}", "", "[control]",
                f"socket = {toml_value(self.socket)}"]  # fmt: skip
        for target in self.config.target:
            if target.name not in targets:
                continue
            values = target.model_dump(exclude_none=True) | {
                "path": target.path.rstrip("/") + SUFFIX, "known_hosts": self.config.known_hosts(target)
            }  # fmt: skip
            rows += ["", "[[target]]", *(f"{key} = {toml_value(value)}" for key, value in values.items())]
        for tier in range(1, TIERS + 1):
            folder = self.vault(tier)
            files.make_private_directory(folder)
            (folder / "drill").write_text(self.number + "\n")
            rows += [
                "", "[[vault]]", f"name = {toml_value(VAULT.format(tier=tier))}", f"path = {toml_value(folder)}",
                'classification = "internal"', f"priority = {tier}", f"targets = {toml_value(list(targets))}",
                'settle = "1h"', 'max_delay = "1h"',  # nothing of the payload goes before the order
            ]  # fmt: skip
        rows += ["", "[verify]", "scheduled = false", ""]
        files.create_exclusive(self.file, "\n".join(rows).encode())

    def fill(self, total: int) -> None:
        """Write the payload: ``total`` random bytes, in small files and large ones."""
        for tier, share in enumerate(SHARES, 1):
            left, names = int(total * share), self.hashes.setdefault(VAULT.format(tier=tier), {})
            for number in range(SMALL_FILES):
                left -= self._put(tier, names, f"record {number:03}", min(left, 2048 + secrets.randbelow(62 << 10)))
            number = 0
            while left > 0:
                left -= self._put(tier, names, f"image {number:03}", min(left, IMAGE_BYTES))
                number += 1

    def _put(self, tier: int, names: dict[str, str], name: str, size: int) -> int:
        if size <= 0:
            return 0
        content = os.urandom(size)
        files.create_exclusive(self.vault(tier) / name, content)
        names[name] = hashlib.sha256(content).hexdigest()
        return size

    def sample(self, tier: int, restored: Path) -> tuple[int, int, int]:
        """Compare some of what came back of a tier: files, bytes, how many are not as they were."""
        known = self.hashes[VAULT.format(tier=tier)]
        chosen = sorted(known)[:: max(1, len(known) // SAMPLE)]
        size = wrong = 0
        for name in chosen:
            try:
                content = (restored / name).read_bytes()
            except FileNotFoundError:
                wrong += 1
                continue
            size += len(content)
            wrong += hashlib.sha256(content).hexdigest() != known[name]
        return len(chosen), size, wrong

    def hand_over(self, store: Store, measured: Sequence[Measured]) -> Evacuation | None:
        """Put on record what the drill has done, as it happened; and keep that there was one. Returns it."""
        with contextlib.closing(Store(self.state / "state.db", read_only=True)) as own:
            one = own.evacuation(self.number)
            events = [event for event in own.events(1_000_000) if event.type in EVACUATION_TYPES]
        if one is None:
            return None
        with store.database.write():
            for event in events:
                store.add_event(event.type, event.fields, event.at)
            for row in measured:
                body = EvacuationMeasured(
                    self.number, row.what, row.target, row.milliseconds, row.files, row.size, row.differences, 1
                )
                store.add_event(body.TYPE, fields_of(body))
            ended = one.ended or time.time_ns()
            store.add_evacuation(Evacuation(
                one.id, True, ENDED, one.level, one.category, one.who, one.ordered, ended, one.boot, one.detail
            ))  # fmt: skip
        return one


@contextlib.contextmanager
def rehearsal(config: Config, store: Store) -> Iterator[Rehearsal]:
    """A drill's folder, gone afterwards. Raises BusyError while another drill or an evacuation goes on."""
    if order.going_on(store) is not None:
        raise BusyError(_("the drill"), _("an evacuation goes on"), _("see vaultd evacuate status"))
    above = config.host.state / FOLDER
    files.make_private_directory(above)
    with _alone(above):
        for left in above.iterdir():  # of a drill that was killed
            if left.is_dir():
                shutil.rmtree(left)
        prefix = f"DRILL-{time.localtime().tm_year}-"
        number = f"{prefix}{store.next_evacuation_number(prefix):03}"
        with tempfile.TemporaryDirectory(prefix="vaultd-") as sockets:
            found = Rehearsal(config, number, above / number, Path(sockets))
            files.make_private_directory(found.folder)
            try:
                yield found
            finally:
                shutil.rmtree(found.folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    import fcntl

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BusyError(_("the drill"), _("another drill goes on"), _("wait for it to end")) from None
    finally:
        os.close(handle)
