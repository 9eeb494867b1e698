"""What the rows share: where they work, how large and how often, and the tree of a million files."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import trees
from tests.bench.ground import Ground
from vaultd.store.schema import MIGRATIONS

EACH = 100


class Bench:
    """``scale`` shrinks every row. ``cold``: first protections begin with an empty page cache (root only). ``keep``:
    the large trees stay in ``folder`` for the next time.
    """

    def __init__(self, folder: Path, scale: float, runs: int, *, keep: bool, cold: bool = False) -> None:
        self.folder, self.scale, self.runs, self.keep, self.cold = folder, scale, runs, keep, cold
        self._grounds: dict[str, Ground] = {}

    def tell(self, text: str) -> None:
        """Progress, on standard error."""
        print(f"{time.strftime('%H:%M:%S')}   {text}", file=sys.stderr, flush=True)

    def scaled(self, count: int, least: int = 1) -> int:
        """A count at this bench's scale."""
        return max(least, int(count * self.scale))

    def level(self) -> None:
        """The same start for both sides: nothing left to be written, and with ``cold`` nothing cached."""
        os.sync()
        if self.cold:
            Path("/proc/sys/vm/drop_caches").write_text("3\n")

    @contextlib.contextmanager
    def place(self, name: str) -> Iterator[Path]:
        """A folder for one measurement; gone afterwards."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def ground(
        self, folder: Path, vault: Path | None = None, prefix: tuple[str, ...] = (), *, remove: bool = True
    ) -> Iterator[Ground]:
        """A new ground with empty repositories; closed afterwards, and gone unless its folder's owner does that."""
        ground = Ground(folder, vault, prefix=prefix)
        try:
            ground.prepare()
            yield ground
        finally:
            if remove:
                ground.remove()
            else:
                ground.close()

    def kept(self, name: str, make: Callable[[Path], None]) -> Ground:
        """A ground whose tree is made, and protected by both sides, once for all rows. No daemon runs."""
        if name in self._grounds:
            found = self._grounds[name]
            found.stop()
            return found
        folder = self.folder / f"{name}-{self.scale:g}"
        mark = folder / "seeded"
        if not mark.exists() or mark.read_text() != repr(MIGRATIONS):  # tables of another day cannot be used
            shutil.rmtree(folder, ignore_errors=True)
        ground = Ground(folder)
        self._grounds[name] = ground
        ground.prepare()
        if not mark.exists():
            begun = time.monotonic()
            make(ground.vault)
            self.tell(f"{name}: tree made in {time.monotonic() - begun:.0f} s")
            self._seed(name, ground)
            mark.write_text(repr(MIGRATIONS))
        return ground

    def _seed(self, name: str, ground: Ground) -> None:
        started = ground.start()
        seconds = ground.safe(started, "full", owed=True)
        story = ground.story(started)
        self.tell(f"{name}: first protection by ours {seconds:.0f} s, daemon at most {ground.peak():.0f} MB: {story}")
        ground.stop()
        self.tell(f"{name}: first protection by plain restic {ground.plain():.0f} s")

    def million(self) -> Ground:
        """A million files in 10,000 directories."""
        return self.kept("million", lambda root: trees.small_files(root, self.scaled(10_000), EACH, 60, 120))

    def million_files(self, ground: Ground) -> Iterator[str]:
        """Its files, in no helpful order."""
        return trees.paths(ground.vault, self.scaled(10_000), EACH)

    def close(self) -> None:
        """End and remove everything, but what is to be kept."""
        for ground in self._grounds.values():
            if self.keep:
                ground.close()
            else:
                ground.remove()
        self._grounds.clear()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
