"""Ctrl-C and SIGTERM during a demo: noted, and obeyed where nothing is half made.

A handler that raises could do so between the start of a process and the note of its pid, or in the middle of the
cleaning up. So the handler only notes the signal; whatever waits or loops asks ``check``.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType

from vaultd.errors import VaultdError
from vaultd.i18n import _

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STEP_SECONDS = 0.05


class EndedError(VaultdError):
    """Somebody ended the demo. The exit code is a shell's: 128 and the signal's number."""

    code = "interrupted"

    def __init__(self, number: int) -> None:
        super().__init__(_("the demo was ended before its end"))
        self.exit_code = 128 + number


class Ending:
    """Notes the signals while it is entered; the old handlers are back afterwards."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Ending:
        for number in SIGNALS:
            before = signal.signal(number, self._note)
            self._before[number] = signal.SIG_DFL if before is None else before
            if before is signal.SIG_IGN:  # nohup
                signal.signal(number, signal.SIG_IGN)
        return self

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._asked is None:
            self._asked = number

    def check(self) -> None:
        """Raise EndedError if somebody wants the end."""
        if self._asked is not None:
            raise EndedError(self._asked)

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until somebody wants the end."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(STEP_SECONDS, left))

    def wait_for(self, ready: Callable[[], bool], seconds: float, step: float = STEP_SECONDS) -> bool:
        """Wait until ``ready``, asked every ``step`` seconds, says so; False after so many seconds."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.wait(step)
            if time.monotonic() > deadline:
                return False
        return True
