"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vaultd.errors import EXIT_FAILED, VaultdError

Level = Literal["fine", "advice", "fault"]
FINE: Level = "fine"
ADVICE: Level = "advice"
FAULT: Level = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """``subject`` names what was looked at, for programs; ``text`` says what was found, ``mend`` what to do about it.

    A fault stops protection or endangers what is protected; an advice can wait. ``exit_code`` is what a command that
    finds just this fault ends with.
    """

    level: Level
    subject: str
    text: str
    mend: str = ""
    exit_code: int = EXIT_FAILED

    @classmethod
    def of(cls, subject: str, error: VaultdError) -> Finding:
        """A fault that an error tells of."""
        return cls(FAULT, subject, str(error), error.hint, error.exit_code)

    def as_json(self) -> dict[str, str]:
        """As ``--json`` has it (docs/json.md)."""
        return {"level": self.level, "subject": self.subject, "text": self.text, "mend": self.mend}
