"""Carry out a plan. What is half done can be gone on with by the same call, after a broken line, Ctrl-C or a crash.

A new or empty folder is restored into directly. Everything else (express snapshots over a full one, and a folder that
has content) goes through a stage inside that folder and is merged by renames: restic itself never writes over anything.
``--delete`` is never used: what is in the folder and not in the snapshots stays.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from vaultd import files
from vaultd.errors import UnreachableError, VaultdError
from vaultd.i18n import _
from vaultd.model import Progress, StoredSnapshot
from vaultd.names import display, join, replaced
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.restore import metadata, workplace
from vaultd.restore.engine import Engine, Problem, Ran, source_of
from vaultd.restore.merge import Merge, carry_out, decide
from vaultd.restore.plan import Plan
from vaultd.restore.progress import Meter
from vaultd.restore.result import Outcome, Result
from vaultd.restore.together import Together, prepared, put_in_place, suffix_of
from vaultd.units import size

log = logging.getLogger(__name__)

DELAYS = (1.0, 3.0, 10.0, 20.0, 30.0)
"""Seconds before each further try after a broken line; a try that brought something begins the row again."""

PROGRESS_ENOUGH = 1024 * 1024

T = TypeVar("T")


class Restore:
    """One restore. ``result`` is true at any moment, also after an exception or a cancellation of ``run``.

    ``overwrite``: the folder may have content; files of the same name are replaced, nothing is removed.
    """

    def __init__(
        self,
        repository: Repository,
        plan: Plan,
        to: Path,
        *,
        overwrite: bool = False,
        check_space: bool = True,
        lock: bool = True,
        stall: float | None = 120.0,
        delays: Sequence[float] = DELAYS,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        on_note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.plan = plan
        self.to = Path(os.path.realpath(to))
        self.overwrite = overwrite
        self.check_space = check_space
        self.delays = delays
        self.on_note = on_note
        self.meter = Meter(plan, on_progress)
        self.engine = Engine(repository, marker=f"restore-{os.getpid()}", stall=stall, lock=lock, on_step=self._step)
        self.result = Result(plan, self.to, owners=os.geteuid() == 0)
        self._what = _("restore of vault {vault}").format(vault=plan.request.vault)
        self._problems: dict[str, Problem] = {}
        self._together = Together(repository, plan, bytes(self.to), self._step)

    def check(self) -> None:
        """Look at the folder without changing anything: what it holds, and the room. Raises VaultdError."""
        begun = workplace.find(self.to) if self.to.is_dir() else None
        if self.to.exists() and not self.to.is_dir():
            raise VaultdError(self._what, _("{folder} is not a folder").format(folder=display(self.to)))
        if begun is not None and begun.request != workplace.fingerprint(self.plan.request):
            raise workplace.unfinished(self.to, begun)
        if begun is None and not self.overwrite and self.to.is_dir() and workplace.other_content(self.to):
            raise VaultdError(
                self._what,
                _("{folder} is not empty").format(folder=display(self.to)),
                _("take a new folder; --overwrite replaces files of the same name there and keeps all others"),
            )
        self._check_room(begun)

    def _check_room(self, begun: workplace.Workplace | None) -> None:
        above = self.to
        while not above.exists():
            above = above.parent
        found = os.statvfs(above)
        self.result.free = found.f_bavail * found.f_frsize
        there = workplace.allocated(bytes(self.to)) if begun is not None else 0
        if self.check_space and self.plan.bytes_total > self.result.free + there:
            raise VaultdError(
                self._what,
                _("it needs up to {needed}, and {folder} has {free} free").format(
                    needed=size(self.plan.bytes_total), folder=display(above), free=size(self.result.free)
                ),
                _("sparse files may need less: --no-space-check tries it all the same"),
            )

    async def run(self) -> Result:
        """Restore. Raises VaultdError when it cannot go on; the same call with the same plan then continues it."""
        begun = time.monotonic()
        self.check()
        self.result.outcome = Outcome.FAILED
        try:
            if not self.result.owners:
                self.result.other_owners = await self._other_owners()
            work = self._begin()
            self._together.begin()
            while work.step < len(self.plan.snapshots):
                if not work.step or not await self._many(work):
                    await self._one(work, work.step)
            self._finish(work)
        except asyncio.CancelledError:
            self.result.outcome = Outcome.INTERRUPTED
            raise
        except OSError as error:
            raise VaultdError(
                self._what, f"{display(error.filename or self.to)}: {error.strerror or error}",
                _("mend this and run the same command again: it goes on where it stopped"),
            ) from error  # fmt: skip
        finally:
            await self._together.end()
            self.result.problems = list(self._problems.values())
            self.result.seconds = time.monotonic() - begun
        return self.result

    async def _other_owners(self) -> int:
        """How much of the first snapshot belongs to somebody else: that cannot be restored, and is said once."""
        source, me, count = source_of(self.plan.base), (os.geteuid(), os.getegid()), 0
        above = replaced(source.folder).rstrip("/") + "/"
        wanted = [above + replaced(path) for path in self.plan.paths]
        async for node in commands.ls(self.engine.repository, self.plan.base.id):
            inside = any(node.path == one or node.path.startswith(one + "/") for one in wanted)
            if (inside or (not wanted and node.path.startswith(above))) and (node.uid, node.gid) != me:
                count += 1
        return count

    def _begin(self) -> workplace.Workplace:
        if not self.to.is_dir():
            # Nobody else may look in before the vault's own mode is in place, which is the last step.
            files.make_private_directory(self.to)
        work = workplace.find(self.to)
        if work is None:
            return workplace.begin(self.to, self.plan, workplace.other_content(self.to))
        self.result.resumed = True
        self.result.done = work.step
        self._problems = {one["path"]: Problem(one["path"], one["message"]) for one in work.problems}
        for place in range(len(self.plan.snapshots)):
            if work.merge_file(place).exists():
                self.result.merges[place] = Merge.from_json(json.loads(work.merge_file(place).read_bytes()))
        for one in prepared(work):
            self.result.merges |= one.reports
        return work

    async def _one(self, work: workplace.Workplace, place: int) -> None:
        """Put one snapshot in place."""
        snapshot = self.plan.snapshots[place]
        self.meter.begin(snapshot)
        if place == 0 and not work.overwrite:
            await self._direct(work, snapshot)
        else:
            await self._staged(work, snapshot, place)
        self._advance(work)

    async def _many(self, work: workplace.Workplace) -> bool:
        """Put the express snapshots that come next in place together; False where that cannot be."""
        if work.tried or work.staged:
            return False
        found = next((one for one in prepared(work) if one.first == work.step), None)
        if found is None:
            self.meter.begin(self.plan.snapshots[-1])
            found = await self._until_done(lambda: self._together.prepare(work, work.step))
        if found is None:
            return False
        self.result.merges |= found.reports
        for problem in await asyncio.to_thread(put_in_place, work, found, bytes(self.to)):
            self._problems[problem.path] = problem
        self._advance(work, found.count)
        return True

    def _advance(self, work: workplace.Workplace, count: int = 1) -> None:
        work.problems = [{"path": one.path, "message": one.message} for one in self._problems.values()]
        work.advance(count)
        self.result.done = work.step

    async def _direct(self, work: workplace.Workplace, snapshot: StoredSnapshot) -> None:
        source = source_of(snapshot)
        await self._restore(work, snapshot, source.folder, bytes(self.to), self.plan.paths)
        if source.name and not self.plan.paths:
            # The folder itself, without its content, for its metadata.
            aside = work.path / "root"
            quiet = replace(self.engine, on_step=lambda _ran: None)  # one folder: not part of the progress
            await self._until_done(
                lambda: quiet.restore(snapshot, source.above, bytes(aside), without=source.name, what=self._what)
            )
            if os.path.isdir(join(bytes(aside), source.name)):
                work.root = metadata.read(join(bytes(aside), source.name))

    async def _staged(self, work: workplace.Workplace, snapshot: StoredSnapshot, place: int) -> None:
        source, stage = source_of(snapshot), bytes(work.stage)
        content = join(stage, source.name) if source.name else stage
        if not work.staged:
            if not work.tried and work.stage.exists():  # what the snapshot before has left there
                workplace.remove(work.stage)
            paths = [join(source.name, path) if source.name else path for path in self.plan.paths]
            await self._restore(work, snapshot, source.above, stage, paths, source.name)
            work.staged = True
            work.save()
        if os.path.isdir(content):
            await asyncio.to_thread(self._merge, work, snapshot, place, content, bool(source.name))

    def _merge(
        self, work: workplace.Workplace, snapshot: StoredSnapshot, place: int, content: bytes, has_root: bool
    ) -> None:
        planned = work.merge_file(place)
        if not planned.exists():
            before = work.root.mtime if work.root is not None else None
            merge = decide(
                content, bytes(self.to), suffix_of(snapshot),
                root_mtime=before if place else None, hide=os.fsencode(work.path.name),
            )  # fmt: skip
            work.note(planned, merge.as_json())
            self.result.merges[place] = merge
        for problem in carry_out(self.result.merges[place], content, bytes(self.to)):
            self._problems[problem.path] = problem
        if has_root and not self.plan.paths:
            work.root = self.result.merges[place].folders[b""]

    async def _restore(
        self,
        work: workplace.Workplace,
        snapshot: StoredSnapshot,
        folder: bytes,
        to: bytes,
        paths: Sequence[bytes],
        vault: bytes = b"",
    ) -> None:
        async def attempt() -> Ran:
            again = work.tried
            if again and os.path.isdir(to):
                await asyncio.to_thread(workplace.clear_for_another_run, to, bytes(work.path))
            elif not again:
                work.tried = True
                work.save()
            return await self.engine.restore(
                snapshot, folder, to, paths=paths, vault=vault, again=again, what=self._what
            )

        ran = await self._until_done(attempt)
        self._check_full(ran)
        self._problems |= ran.problems

    async def _until_done(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run restic until it gets to its end, again after a broken line."""
        failures, furthest = 0, 0
        while True:
            try:
                return await attempt()
            except UnreachableError as error:
                came = self.meter.last.bytes
                failures = 0 if came > furthest + PROGRESS_ENOUGH else failures
                furthest = max(furthest, came)
                if failures >= len(self.delays):
                    raise
                self.on_note(
                    _("{error}; going on in {seconds:.0f} s").format(error=error, seconds=self.delays[failures])
                )
                log.warning("the line broke during a restore, next try in %.0f s", self.delays[failures])
                await asyncio.sleep(self.delays[failures])
                failures += 1

    def _check_full(self, ran: Ran) -> None:
        found = os.statvfs(self.to)
        if ran.problems and found.f_bavail * found.f_frsize < PROGRESS_ENOUGH:
            raise VaultdError(
                self._what,
                _("{folder} is full").format(folder=display(self.to)),
                _("make room and run the same command again: it goes on where it stopped"),
            )

    def _finish(self, work: workplace.Workplace) -> None:
        for path in self.plan.paths:
            if not os.path.lexists(join(bytes(self.to), path)):
                self.result.missing.append(path)
        root = work.root
        files.sync_filesystem(self.to)
        work.finish()
        if root is not None:
            for text in metadata.write(bytes(self.to), root):
                self._problems["."] = Problem(".", text)
        files.sync_filesystem(self.to)
        self.result.outcome = Outcome.PARTIAL if self._problems or self.result.missing else Outcome.DONE

    def _step(self, ran: Ran) -> None:
        self.meter.step(ran)
        self.result.files_done = self.meter.files_before + ran.files
        self.result.bytes_done = self.meter.bytes_before + ran.bytes
