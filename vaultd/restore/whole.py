"""A restore from several targets: from the best one, from the next when that gives nothing, and file by file from the
others what it could not give (``elsewhere``)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vaultd.errors import LedgerError, RepositoryError, ResticError, UnreachableError, VaultdError
from vaultd.i18n import _
from vaultd.model import Progress, StoredSnapshot
from vaultd.restic.process import Repository
from vaultd.restore import elsewhere, onrecord, workplace
from vaultd.restore.choice import plan_restore
from vaultd.restore.elsewhere import Elsewhere, Other
from vaultd.restore.onrecord import OnRecord
from vaultd.restore.plan import Plan, Request
from vaultd.restore.result import Result
from vaultd.restore.run import Restore

log = logging.getLogger(__name__)

_NEXT = (RepositoryError, ResticError, UnreachableError)
"""What another target may be spared."""


class WholeRestore:
    """``result`` is true at any moment. ``elsewhere`` is None where nothing was lost, or nobody else could be asked;
    ``skipped``: targets that gave nothing, and why; ``known``: what is on record, once it was asked for."""

    def __init__(
        self,
        repositories: Mapping[str, Repository],
        listed: Mapping[str, Sequence[StoredSnapshot]],
        request: Request,
        to: Path,
        *,
        ledger: Path | None = None,
        overwrite: bool = False,
        check_space: bool = True,
        lock: bool = True,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        on_note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.repositories, self.listed = dict(repositories), dict(listed)
        self.request, self.to, self.ledger = request, to, ledger
        self.choices = {"check_space": check_space, "lock": lock, "on_progress": on_progress, "on_note": on_note}
        self.on_note = on_note
        self.elsewhere: Elsewhere | None = None
        self.skipped: dict[str, VaultdError] = {}
        self.known: OnRecord | None = None
        self._restore = self._planned(overwrite)

    def _planned(self, overwrite: bool) -> Restore:
        plan = plan_restore(self.listed, self.request, self.to)
        return Restore(self.repositories[plan.target], plan, self.to, overwrite=overwrite, **self.choices)  # type: ignore[arg-type]

    @property
    def plan(self) -> Plan:
        """What is being restored."""
        return self._restore.plan

    @property
    def result(self) -> Result:
        """What has come so far."""
        return self._restore.result

    def check(self) -> None:
        """Look at the folder without changing anything. Raises VaultdError."""
        self._restore.check()

    async def run(self) -> Result:
        """Restore. Raises VaultdError when no target can give anything, or the folder cannot take it."""
        while True:
            try:
                await self._restore.run()
                break
            except _NEXT as error:
                if not self._go_elsewhere(error):
                    raise
        if self.result.problems:
            await self._fill()
        return self.result

    def _go_elsewhere(self, error: VaultdError) -> bool:
        """Give a target up that gave nothing; False when it gave something (then the same command goes on), or when
        there is no other."""
        if self.result.files_done or len(self.listed) < 2:
            return False
        name = self.plan.target
        self.skipped[name] = error
        del self.listed[name]
        begun = workplace.find(self.to) if self.to.is_dir() else None
        if begun is not None:
            workplace.remove(begun.path)
        self.on_note(_("{error}; trying the next target").format(error=error))
        try:
            # What little may be there already is ours: it is replaced.
            self._restore = self._planned(True)
            self._restore.check()
        except VaultdError as other:
            log.info("%s", other)
            return False
        return True

    def read_record(self) -> OnRecord | None:
        """What the ledger says of the plan; None without one, or where it does not know these snapshots."""
        if self.known is None and self.ledger is not None and self.ledger.is_dir():
            try:
                self.known = onrecord.of_plan(self.ledger, self.plan)
            except LedgerError as error:
                self.on_note(str(error))
        return self.known

    async def _fill(self) -> None:
        others = [
            Other(name, self.repositories[name], [one for one in found if one.vault == self.request.vault])
            for name, found in self.listed.items()
            if name != self.plan.target
        ]
        if not others or self.request.dump or self.request.snapshot:
            return
        known = self.read_record()
        self.on_note(
            _("Target {name} could not give everything: the rest is looked for at {others}").format(
                name=self.plan.target, others=", ".join(one.name for one in others)
            )
        )
        self.elsewhere = await elsewhere.fill(self.result, others, known)
