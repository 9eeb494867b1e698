"""The courier: takes notices out of the outbox, sends each by its channels, and leaves word of what became of it.

A process of its own. It sees the outbox and its part of the configuration, no vault and no state. What it knows is in
the files: killed at any moment, the next one goes on, and sends at most those once more that were on their way, with
the same id. A try is written down before it begins.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vaultd import files
from vaultd.config.notify import Told
from vaultd.errors import ConfigError
from vaultd.i18n import _, speaking
from vaultd.notices import address, attempt, folders, form, guard, lock, routing
from vaultd.notices.form import FAILED, SENT, Kept
from vaultd.notices.lanes import Lanes, Turn

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
MOST_TAKEN = 500
"""So many new notices at once: what is urgent among those before must not wait for all that come after."""

ENDING_SECONDS = 5.0
"""So long what is under way may go on when the courier is to end."""


@dataclass(frozen=True, slots=True)
class _Try:
    lane: str
    turn: Turn
    running: attempt.Running


class Courier:
    """``reload``: the courier's part of the configuration where it has changed since the last call, else None; called
    before each look. Raises ConfigError where it is wrong: then the last one holds."""

    def __init__(self, state: Path, told: Told, reload: Callable[[], Told | None] = lambda: None) -> None:
        self.state, self._told, self._reload = state, told, reload
        self._kept: dict[str, Kept] = {}
        self._lanes = Lanes(told.notify.first_wait, told.notify.longest_wait)
        self._tries: dict[int, _Try] = {}
        self._selector = selectors.DefaultSelector()
        self._refused: set[str] = set()
        self._handle = -1

    def run(self, stopped: Callable[[], bool]) -> None:
        """Until ``stopped`` says so. Raises BusyError when another courier has the outbox, StateError."""
        folders.prepare(self.state)
        with lock.taken(self.state) as self._handle:
            attempt.load()
            try:
                self._resume()
                channels = len(self._told.notify.channel)
                log.info("the courier runs: %d channels, %d to send", channels, self._lanes.waiting())
                while not stopped():
                    self._look()
                self._end(time.monotonic() + ENDING_SECONDS)
            except OSError as error:  # a full disk: what is not written down is not begun
                raise folders.unusable(self.state, error) from error
            finally:
                for one in self._tries.values():
                    one.running.end()
                    one.running.word()
                self._selector.close()

    def _look(self) -> None:
        try:
            found = self._reload()
        except ConfigError as error:
            log.error("the configuration is not taken up: %s", error)
        else:
            if found is not None:
                self._told = found
                self._lanes.first, self._lanes.longest = found.notify.first_wait, found.notify.longest_wait
        for number in folders.listed(self.state, folders.NEW)[:MOST_TAKEN]:
            self._take(number)
        self._start_due()
        self._hear(LOOK_SECONDS)

    # what is to be sent

    def _resume(self) -> None:
        """What the courier before has left."""
        for folder in (folders.SENDING, folders.DONE, folders.FAILED):
            for path in folders.unfinished(self.state, folder):
                path.unlink(missing_ok=True)
        for number in folders.listed(self.state, folders.SENDING):
            try:
                kept = form.read(folders.file(self.state, folders.SENDING, number))
            except (OSError, ValueError) as error:
                self._refuse(number, error)
                continue
            self._accept(kept)

    def _take(self, number: str) -> None:
        """Claim a new notice, and settle whom it goes to."""
        new = folders.file(self.state, folders.NEW, number)
        if number in self._kept:  # it was put in again while it is being sent
            new.unlink(missing_ok=True)
            return
        try:
            kept = form.read(new)
            self._move(number, folders.NEW, folders.SENDING)
        except (OSError, ValueError) as error:
            self._refuse(number, error)
            return
        self._accept(replace(kept, deliveries=None))

    def _accept(self, kept: Kept) -> None:
        if kept.deliveries is None:
            kept = replace(kept, deliveries=routing.deliveries(kept, self._told))
            if kept.over:
                self._save(kept)  # else with the first try
        self._kept[kept.id] = kept
        self._lanes.add(kept)
        self._finish_if_over(kept)

    def _refuse(self, number: str, error: Exception) -> None:
        """A file that is no notice stays where it is; the log says so once."""
        if number not in self._refused:
            log.error("the file of notice %s cannot be used: %s", number, error)
            self._refused.add(number)

    # sending

    def _start_due(self) -> None:
        for lane, turn in self._lanes.due(time.monotonic()):
            kept = self._kept[turn.id]
            delivery = (kept.deliveries or ())[turn.number]
            begun = replace(delivery, attempts=delivery.attempts + 1, at=time.time_ns())
            kept = self._kept[kept.id] = kept.with_delivery(turn.number, begun)
            self._save(kept)
            self._lanes.begin(lane)
            try:
                found = routing.address_file(begun, self._told)
                if found is None:
                    raise address.AddressError("no-channel")
                url = address.read(found)
                running = attempt.start(url, self._message(kept, begun), self._told.notify.timeout, self._handles())
            except (address.AddressError, OSError) as error:
                word = error.word if isinstance(error, address.AddressError) else "no-process"
                self._settle(lane, turn, word)
                continue
            self._tries[running.pipe] = one = _Try(lane, turn, running)
            self._selector.register(running.pipe, selectors.EVENT_READ, one)

    def _handles(self) -> list[int]:
        """What a try's process is not to keep open: the lock, the other tries' pipes."""
        return [self._handle, *self._tries]

    def _message(self, kept: Kept, delivery: form.Delivery) -> attempt.Message:
        notify = self._told.notify
        with speaking(notify.lang):
            notice = guard.fit(kept.notice, self._told.paths, allow_names=notify.allow_names)
            lines = [notice.text, ""]
            if delivery.persons and routing.lane(delivery) == delivery.channel:
                lines.append(_("For: {names}").format(names=", ".join(delivery.persons)))
            lines.append(_("{host}, notice {id}").format(host=self._told.host.name or "vaultd", id=kept.id))
        kind = "warning" if notice.urgent else "info"
        return attempt.Message(notice.title, "\n".join(lines).strip(), kind)

    def _hear(self, seconds: float) -> None:
        """Wait for words of what is under way, at most so long; end what takes too long."""
        for key, _events in self._selector.select(seconds):
            self._heard(key.data)
        now = time.monotonic()
        for one in list(self._tries.values()):
            if now >= one.running.deadline:
                one.running.end()
                self._heard(one)

    def _heard(self, one: _Try) -> None:
        self._selector.unregister(one.running.pipe)
        del self._tries[one.running.pipe]
        self._settle(one.lane, one.turn, one.running.word())

    def _settle(self, lane: str, turn: Turn, word: str) -> None:
        """A try is over: "" or why it failed."""
        kept = self._kept[turn.id]
        delivery = (kept.deliveries or ())[turn.number]
        most = kept.attempts or self._told.notify.attempts
        if not word:
            self._lanes.worked(lane, turn)
            delivery = replace(delivery, state=SENT, error="", at=time.time_ns())
            log.info("notice %s: sent by %s, attempt %d", kept.id, delivery.channel, delivery.attempts)
        else:
            over = delivery.attempts >= most
            self._lanes.failed(lane, turn, time.monotonic(), over=over)
            state = FAILED if over else delivery.state
            delivery = replace(delivery, state=state, error=word, at=time.time_ns())
            log.warning("notice %s: %s, attempt %d: %s", kept.id, delivery.channel, delivery.attempts, word)
        kept = self._kept[kept.id] = kept.with_delivery(turn.number, delivery)
        self._save(kept)
        self._finish_if_over(kept)

    def _end(self, until: float) -> None:
        while self._tries and time.monotonic() < until:
            self._hear(min(LOOK_SECONDS, max(0.0, until - time.monotonic())))

    # the files

    def _save(self, kept: Kept) -> None:
        path = folders.file(self.state, folders.SENDING, kept.id)
        files.replace(path, form.encode(kept), folders.file_mode(self.state))

    def _finish_if_over(self, kept: Kept) -> None:
        if not kept.over:
            return
        failed = any(one.state == FAILED for one in kept.deliveries or ())
        self._move(kept.id, folders.SENDING, folders.FAILED if failed else folders.DONE)
        del self._kept[kept.id]

    def _move(self, number: str, source: str, target: str) -> None:
        """Not waiting for the disk: after a power cut it is where it was, and moves again."""
        old, new = (folders.file(self.state, folder, number) for folder in (source, target))
        old.rename(new)
