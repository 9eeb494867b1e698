"""Every change of a warning. What is kept, the ledger's entry, whom to tell and what to set in motion are one
transaction: there is never the one without the other, whatever dies in between.

proposed -> issued, declined; issued -> adjusted, lifted; adjusted -> adjusted, lifted. The ends: lifted, declined.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from vaultd.config.model import Config
from vaultd.config.response import LEVELS
from vaultd.custody import owe
from vaultd.errors import NotAuthorisedError
from vaultd.i18n import _
from vaultd.ledger import canonical, entry
from vaultd.store import Store
from vaultd.store.warningrows import ActionRow, AnswerRow, WarningRow
from vaultd.units import SECOND
from vaultd.warning import people, telling
from vaultd.warning.faults import NoWarningError, WarningError
from vaultd.warning.fields import TEXTS, Fields, clean, entry_of
from vaultd.warning.words import SIGNAL_WORDS
from vaultd.warning.words import state as state_word

LIFT = "warning-lift-1"
"""The action that approvals are asked for: lifting level I, and making less of it."""

Require = Callable[[str, Mapping[str, object]], str | None]
"""Uses the approvals of an action with these parameters up. Returns the request's id, where there was one. Raises
NotAuthorisedError while they are not there. It is called in the transaction of what they are for."""


def root_only(_action: str, _parameters: Mapping[str, object]) -> str | None:
    """Stands in for approvals: root may, nobody else."""
    if os.geteuid() != 0:
        raise NotAuthorisedError(
            _("not allowed"), _("user {uid} may not do this").format(uid=os.geteuid()), _("run it as root")
        )
    return None


@dataclass(frozen=True, slots=True)
class Desk:
    """The warnings of this host. ``who``: who runs this, as entries have it; ``clock``: nanoseconds since 1970."""

    config: Config
    store: Store
    who: str
    require: Require = root_only
    clock: Callable[[], int] = time.time_ns

    def find(self, number: str) -> WarningRow:
        """The warning of an id, as it was typed. Raises NoWarningError."""
        wanted = number.strip().upper()
        found = self.store.warning(wanted)
        if found is None:
            raise NoWarningError(
                _("warning {number}").format(number=wanted), _("there is no such warning"),
                _("see: vaultd warning list --all"),
            )  # fmt: skip
        return found

    def issue(self, given: Fields, *, drill: bool = False) -> WarningRow:
        """A new warning. What is not given has its default. Raises WarningError."""
        with self.store.database.write():
            row = self._filled(self._new(drill=drill, signal="", subject=""), given)
            return self._issued(row)

    def issue_proposed(self, number: str, given: Fields) -> WarningRow:
        """A proposal becomes a warning; what is given takes the place of what was proposed. Raises WarningError."""
        with self.store.database.write():
            row = self._in_state(number, "proposed")
            return self._issued(self._filled(row, given))

    def adjust(self, number: str, given: Fields) -> WarningRow:
        """Change a warning that stands. Less than level I needs the approvals that lifting it needs. Raises
        WarningError, NotAuthorisedError."""
        with self._asking():
            known = self._in_state(number, "issued", "adjusted")
            row = self._filled(known, given)
            if row == known:
                raise WarningError(
                    _("warning {number}").format(number=known.id), _("nothing of it is to be changed")
                )  # fmt: skip
            request = None
            if known.level == "I" and row.level != "I":
                request = self._approved(known, row.level)
            row = self._put(replace(row, state="adjusted", asked=known.revision + 1), request)
            self._set_in_motion(row)
            telling.tell_of(self.config, self.store, row, "adjusted", self._ask(row))
            return row

    def lift(self, number: str) -> WarningRow:
        """It is over. Level I needs approvals. Raises WarningError, NotAuthorisedError."""
        with self._asking():
            known = self._in_state(number, "issued", "adjusted")
            request = self._approved(known, "lifted") if known.level == "I" else None
            row = self._put(replace(known, state="lifted", quiet_until=self._quiet()), request)
            told = [one.person for one in self.store.answers(row.id, row.asked)]
            telling.tell_of(self.config, self.store, row, "lifted", told)
            return row

    def decline(self, number: str) -> WarningRow:
        """A proposal is none: its signal proposes nothing for a while. Raises WarningError."""
        with self.store.database.write():
            known = self._in_state(number, "proposed")
            return self._put(replace(known, state="declined", quiet_until=self._quiet()))

    def propose(self, signal: str, subject: str, scope: str, *, times: int, standing: bool) -> WarningRow | None:
        """A signal came so many ``times`` (0: it only still stands). One proposal, or warning, is open for each signal
        and subject: what comes meanwhile, and for a while after it was declined or lifted, is counted and no more.
        Returns the new proposal, None where there is none.
        """
        if not times and (not standing or self._damped(signal, subject) is not None):
            return None  # the common case costs no transaction
        with self.store.database.write():
            now = self.clock()
            known = self._damped(signal, subject)
            if known is not None:
                self._count(known, times, now)
                return None
            words = SIGNAL_WORDS[signal]
            row = replace(
                self._new(drill=False, signal=signal, subject=subject), level="III", category=words.category,
                scope=clean(scope, "scope"), cautions=words.cautions, measures=words.measures,
                recipients=self._default_recipients("III"), count=max(1, times), seen=now,
            )  # fmt: skip
            row = self._put(replace(row, state="proposed"))
            if signal in self.config.response.III.automatic:
                return self._issued(row)
            duty = people.duty(self.config, now)
            told = [name for name in (duty.person, *duty.also) if name] or people.persons(self.config, row.recipients)
            telling.tell_of(self.config, self.store, row, "proposed", told)
            return row

    # what these share

    def _damped(self, signal: str, subject: str) -> WarningRow | None:
        """The warning that keeps a signal from proposing another one: it is open, or is over for a short while only."""
        now, known = self.clock(), self.store.newest_of_signal(signal, subject)
        if known is None or known.open or now < known.quiet_until <= now + self._quiet_ns():
            return known
        return None

    def _count(self, known: WarningRow, times: int, now: int) -> None:
        """The count goes on record where it reaches another power of ten: 10,000 times are four entries, not 10,000."""
        self.store.count_signal(known.id, times, now)
        if known.open and len(str(known.count + times)) > len(str(known.count)):
            self._put(replace(known, count=known.count + times, seen=now))

    def _new(self, *, drill: bool, signal: str, subject: str) -> WarningRow:
        now = self.clock()
        year = datetime.fromtimestamp(now // SECOND, UTC).astimezone().year
        number = self.store.next_warning(year)
        unit = self.config.response.unit or self.config.host.name
        return WarningRow(
            f"W-{year}-{number:03}", year, number, 0, "", "", "unspecified", (), now, "", "", "", unit, "", "", signal,
            subject, 0, now, 0, drill, 0, now, now,
        )  # fmt: skip

    def _filled(self, row: WarningRow, given: Fields) -> WarningRow:
        """With what is given, checked."""
        texts = {name: clean(text, name) for name in TEXTS if (text := getattr(given, name)) is not None}
        level = given.level or row.level
        if level not in LEVELS:
            raise WarningError(
                _("level {level}").format(level=level or "-"), _("there is no such level"),
                _("one of: {names}").format(names=", ".join(LEVELS)),
            )  # fmt: skip
        row = replace(row, level=level, **texts)  # type: ignore[arg-type]
        for name in ("category", "unit"):
            if not getattr(row, name):
                raise WarningError(_("a warning"), _("its {field} is empty").format(field=name))
        if given.start is not None:
            row = replace(row, start=given.start)
        if given.recipients is not None:
            row = replace(row, recipients=people.require_names(self.config, given.recipients))
        elif not row.recipients:
            row = replace(row, recipients=self._default_recipients(level))
        return row

    def _default_recipients(self, level: str) -> tuple[str, ...]:
        """Whom the policy names, who directs, and who has duty."""
        policy, duty = self.config.response.of(level), people.duty(self.config, self.clock())
        names = [*policy.notify, *people.persons(self.config, filter(None, [policy.directed_by])), duty.person]
        return tuple(dict.fromkeys(name for name in names if name))

    def _in_state(self, number: str, *states: str) -> WarningRow:
        row = self.find(number)
        if row.state not in states:
            raise WarningError(
                _("warning {number}").format(number=row.id),
                _("it is {state}").format(state=state_word(row.state)),
                _("this can be done while it is: {states}").format(states=", ".join(map(state_word, states))),
            )  # fmt: skip
        return row

    def _approved(self, row: WarningRow, to: str) -> str | None:
        # Not the revision: a signal that is counted makes one, and what was approved would be another thing then.
        return self.require(LIFT, {"warning": row.id, "issued": row.asked, "to": to})

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """A transaction that is kept although approvals are missing: that they were asked for is in it. Until they are
        there nothing else is."""
        refused: NotAuthorisedError | None = None
        with self.store.database.write():
            try:
                yield
            except NotAuthorisedError as error:
                refused = error
        if refused is not None:
            raise refused

    def _quiet_ns(self) -> int:
        return int(self.config.response.quiet * SECOND)

    def _quiet(self) -> int:
        return self.clock() + self._quiet_ns()

    def _issued(self, row: WarningRow) -> WarningRow:
        row = self._put(replace(row, state="issued", asked=row.revision + 1))
        self._set_in_motion(row)
        telling.tell_of(self.config, self.store, row, "issued", self._ask(row))
        return row

    def _put(self, row: WarningRow, request: str | None = None) -> WarningRow:
        """The next revision: kept, and owed to the ledger."""
        now = self.clock()
        row = replace(
            row, revision=row.revision + 1, who=self.who, on_duty=people.duty(self.config, now).person, changed=now
        )
        body = entry_of(row, request)
        self.store.put_warning(row, canonical.encode(entry.fields_of(body)).decode())
        owe(self.store, self.config.host.state, body)
        return row

    def _ask(self, row: WarningRow) -> Sequence[str]:
        """Every recipient is to acknowledge this revision. The persons."""
        now = self.clock()
        found = people.persons(self.config, row.recipients)
        for person in found:
            self.store.put_answer(AnswerRow(row.id, row.revision, person, "asked", now, now, 1))
        return found

    def _set_in_motion(self, row: WarningRow) -> None:
        """What the policy of its level does at once, each once for a warning. A drill changes nothing real."""
        if row.drill:
            return
        there = {one.action for one in self.store.warning_actions(row.id)}
        for action in self.config.response.of(row.level).at_once:
            if action not in there:
                self.store.put_action(ActionRow(row.id, action, row.level, "wanted", self.clock()))
