"""A client of witnesses (C2SP tlog-witness, ``add-checkpoint``).

A witness has seen our log up to some size. It cosigns a newer checkpoint only with a proof that this one holds the
older; so a log that was rewritten or cut gets no more cosignatures from it. Its answers are not believed: a cosignature
counts when it verifies by the configured key and its time is about now.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from vaultd.anchor import cosignature, faults, kept, post
from vaultd.anchor.cosignature import Cosignature
from vaultd.anchor.faults import InconsistentError, NoAnswerError, WitnessError
from vaultd.anchor.local import Local
from vaultd.anchor.post import Answer
from vaultd.config.ledger import WitnessConfig
from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.ledger import checkpoint, note
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.note import Note, VerifierKey

MOST_SKEW = 600
"""Seconds by which a cosignature's time may differ from ours."""

_SIZE = "text/x.tlog.size"
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A witness has cosigned. ``time``: seconds since 1970, by its clock. ``new`` False: a cosignature of this size was
    kept before, and stays."""

    witness: str
    size: int
    time: int
    new: bool


def submit(
    witness: WitnessConfig, folder: LogFolder, encoded: bytes, timeout: float = post.TIMEOUT
) -> Witnessed:  # fmt: skip
    """Have a checkpoint of this log cosigned, and keep the cosignature in ``anchors/witness``.

    Raises NoAnswerError (try again later), WitnessError (it refuses, or answers what does not hold), InconsistentError
    (it has seen another history; a ShorterError: a longer one), ConfigError for a key that is none, LedgerError.
    """
    return _Submission(witness, Local.read(folder), timeout).run(encoded)


def key_of(witness: WitnessConfig) -> VerifierKey:
    """The configured key. Raises ConfigError when it is none."""
    try:
        return cosignature.parse_key(witness.key)
    except ValueError as error:
        raise ConfigError(
            _("witness {name} cannot be used").format(name=witness.name), str(error),
            _("its operator publishes its key as one word: name+id+base64"),
        ) from error  # fmt: skip


class _Submission:
    def __init__(self, witness: WitnessConfig, local: Local, timeout: float) -> None:
        self._witness, self._local, self._timeout = witness, local, timeout
        self._key = key_of(witness)
        self._where = _("witness {name}").format(name=witness.name)

    def run(self, encoded: bytes) -> Witnessed:
        size = self._local.check(encoded, self._where, "").size
        known = kept.sizes(self._local.folder, kept.WITNESS, self._witness.name)
        old = max((one for one in known if one <= size), default=0)
        for _attempt in range(_TRIES):
            begun = time.time()
            answer = self._post(body(old, self._local.proof(old, size), encoded))
            if answer.status == 200:
                return self._take(encoded, size, answer.body, begun)
            if answer.status != 409:
                self._refused(answer, size)
            has = self._size(answer)
            if has > size:
                self._ahead(has, size)
            if has == old:
                break
            old = has
        raise self._failed(_("it keeps saying that it has seen another size than it said before"))

    def _post(self, content: bytes) -> Answer:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        return post.ask(
            self._where, "POST", f"{self._witness.url}/add-checkpoint", content, headers, self._timeout
        )  # fmt: skip

    def _take(self, encoded: bytes, size: int, lines: bytes, begun: float) -> Witnessed:
        try:
            # Whatever else it sends is not for us: only lines of the configured key are kept.
            answered = note.parse(encoded.rpartition(b"\n\n")[0] + b"\n\n" + lines)
            found = cosignature.of(answered, self._key)
        except ValueError as error:
            raise self._failed(str(error)) from error
        self._check_time(found, begun)
        ours = note.parse(encoded)
        whole = Note(ours.text, (*ours.signatures, found.signature)).encoded()
        new = kept.keep(self._local.folder, kept.WITNESS, self._witness.name, size, whole)
        return Witnessed(self._witness.name, size, found.time, new)

    def _check_time(self, found: Cosignature, begun: float) -> None:
        if not begun - MOST_SKEW <= found.time <= time.time() + MOST_SKEW:
            raise self._failed(
                _("its cosignature is of another time: {seconds} seconds from ours").format(
                    seconds=int(found.time - begun)
                )
            )

    def _size(self, answer: Answer) -> int:
        size = kept.size_of(answer.body[:64].decode("ascii", "replace").removesuffix("\n"))
        if answer.kind != _SIZE or size is None or size > checkpoint.LARGEST:
            raise self._failed(_("it answers 409 without the size that it has seen"))
        return size

    def _ahead(self, has: int, size: int) -> None:
        """It says that it has seen more than we submit. That may be a later checkpoint of ours, submitted meanwhile;
        else it is worth as much as it can show."""
        own = self._local.reaching(has).signed.size
        if has <= own:
            raise self._failed(_("it has a newer checkpoint already, of size {size}").format(size=has))
        self._compare()
        raise faults.shorter(self._where, has, own, None)

    def _refused(self, answer: Answer, size: int) -> NoReturn:
        if answer.status == 422:
            # It says that our proof does not hold, so its tree is another. What it shows may prove it.
            self._compare()
            raise InconsistentError(
                self._where, _("{where} finds that the ledger is not what it was").format(where=self._where),
                _("it refuses the proof that size {size} continues what it has seen").format(size=size),
                _("compare the newest checkpoint on paper with the ledger: `vaultd ledger verify`"),
            )  # fmt: skip
        if answer.status in (403, 404):
            raise WitnessError(
                _("{name} does not cosign").format(name=self._where),
                _("it does not know this log") if answer.status == 404 else _("it does not know the key of this log"),
                _("its operator must add the log's name and key: `vaultd ledger show` has them"),
            )
        if answer.status == 429 or answer.status >= 500:
            raise NoAnswerError(
                _("{name} cannot be asked").format(name=self._where),
                _("it answers {status}").format(status=answer.status),
            )
        raise self._failed(_("it answers {status}").format(status=answer.status))

    def _compare(self) -> None:
        """Read the checkpoint that the witness shows of our log, where it shows one: with our own signature on it, it
        is proof. Raises InconsistentError when it is not of this log's tree."""
        digest = hashlib.sha256(self._local.keys.origin.encode()).hexdigest()
        try:
            answer = post.ask(
                self._where, "GET", f"{self._witness.url}/{digest}/checkpoint", timeout=self._timeout
            )  # fmt: skip
        except NoAnswerError:
            return  # it need not show any
        if answer.status == 200:
            self._local.check(answer.body, self._where, "checkpoint")

    def _failed(self, why: str) -> WitnessError:
        return WitnessError(
            _("{name} has not cosigned").format(name=self._where), why,
            _("ask its operator; the other anchors go on"),
        )  # fmt: skip


def body(old: int, proof: Sequence[bytes], encoded: bytes) -> bytes:
    """The request of add-checkpoint."""
    lines = [f"old {old}", *(base64.b64encode(one).decode("ascii") for one in proof), "", ""]
    return "\n".join(lines).encode() + encoded


def verify_kept(local: Local, witness: WitnessConfig, encoded: bytes, size: int) -> tuple[Checkpoint, int]:
    """The checkpoint of a kept file and the time of its cosignature (seconds). Raises ValueError, InconsistentError."""
    found = local.check(encoded, _("witness {name}").format(name=witness.name), str(size), size)
    return found, cosignature.of(note.parse(encoded), cosignature.parse_key(witness.key)).time
