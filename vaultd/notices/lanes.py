"""Whose turn it is: each lane (a channel, or a person's own address) sends one notice at a time and waits for no other
lane. After a failure a notice waits, longer each time; once its lane works again it waits no more.

Waits are by the monotonic clock: a host whose clock jumps gives nothing up. They begin anew with the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vaultd.notices import routing
from vaultd.notices.form import WAITING, Kept


@dataclass(slots=True)
class Turn:
    """A delivery that is to be sent: of which notice, the how-manyth of it."""

    id: str
    number: int
    attempts: int
    urgent: bool = False
    due: float = 0.0


@dataclass(slots=True)
class Lane:
    """The deliveries that wait in a lane, in the order of their notices."""

    turns: list[Turn] = field(default_factory=list)
    busy: bool = False

    def next(self, now: float) -> Turn | None:
        """Who goes now: of those that are due the urgent ones, then the one that was tried least, then the oldest."""
        if self.busy:
            return None
        due = (turn for turn in self.turns if turn.due <= now)
        return min(due, key=lambda one: (not one.urgent, one.attempts), default=None)


class Lanes:
    """All lanes. ``first`` and ``longest``: the waits after a failure, in seconds."""

    def __init__(self, first: float, longest: float) -> None:
        self.first, self.longest = first, longest
        self._lanes: dict[str, Lane] = {}

    def add(self, kept: Kept) -> None:
        """Everything of a notice that is to be sent."""
        for number, one in enumerate(kept.deliveries or ()):
            if one.state == WAITING:
                lane = self._lanes.setdefault(routing.lane(one), Lane())
                lane.turns.append(Turn(kept.id, number, one.attempts, kept.notice.urgent))

    def due(self, now: float) -> list[tuple[str, Turn]]:
        """The lanes that have something to send and nothing under way, each with whose turn it is."""
        return [(name, turn) for name, lane in self._lanes.items() if (turn := lane.next(now)) is not None]

    def begin(self, lane: str) -> None:
        """Somebody's turn has begun."""
        self._lanes[lane].busy = True

    def worked(self, lane: str, turn: Turn) -> None:
        """It was sent: whoever waits in this lane waits no more."""
        found = self._lanes[lane]
        found.busy = False
        found.turns.remove(turn)
        for one in found.turns:
            one.due = 0.0

    def failed(self, lane: str, turn: Turn, now: float, *, over: bool) -> None:
        """It was not sent: it waits for its next turn, or is given up (``over``)."""
        found = self._lanes[lane]
        found.busy = False
        turn.attempts += 1
        if over:
            found.turns.remove(turn)
        else:
            turn.due = now + min(self.first * 2.0 ** min(turn.attempts - 1, 32), self.longest)

    def waiting(self) -> int:
        """How many deliveries are to be sent."""
        return sum(len(lane.turns) for lane in self._lanes.values())
