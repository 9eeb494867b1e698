"""The recipients of a warning, and who of them has answered. Imports nothing heavy: ``vaultd status`` needs it."""

from __future__ import annotations

from dataclasses import dataclass

from vaultd.store.warningrows import AnswerRow


@dataclass(frozen=True, slots=True)
class Answers:
    """The recipients of a warning's newest revision."""

    rows: tuple[AnswerRow, ...]

    @property
    def open(self) -> tuple[str, ...]:
        """Who has not answered, and for whom nobody else has."""
        done = {one.person for one in self.rows if one.state == "acknowledged"}
        by_name = {one.person: one for one in self.rows}
        return tuple(one.person for one in self.rows if not _covered(one, by_name, done))


def _covered(row: AnswerRow, by_name: dict[str, AnswerRow], done: set[str]) -> bool:
    """Whether they, or those to whom it went from them, have answered."""
    seen: set[str] = set()
    while row.person not in done:
        following = by_name.get(row.escalated)
        if following is None or following.person in seen:
            return False
        seen.add(row.person)
        row = following
    return True
