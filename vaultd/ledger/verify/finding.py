"""What can be wrong with a log, and what follows from it."""

from __future__ import annotations

from enum import StrEnum

from vaultd.i18n import N_, _
from vaultd.names import display

_LONGEST = 200


class Code(StrEnum):
    """What is wrong, for programs."""

    UNREADABLE = "unreadable"
    NOT_A_FILE = "not-a-file"
    TOO_LARGE = "too-large"
    MISSING = "missing"
    EXTRA = "extra"
    KEYS = "keys"
    ROOT_KEY = "root-key"
    KEY_ENTRY = "key-entry"
    CHECKPOINT_FORM = "checkpoint-form"
    CHECKPOINT_SIGNATURE = "checkpoint-signature"
    CHECKPOINT_ROOT = "checkpoint-root"
    CHECKPOINT_NEWEST = "checkpoint-newest"
    CHECKPOINT_ENTRY = "checkpoint-entry"
    CHECKPOINT_UNNAMED = "checkpoint-unnamed"
    BUNDLE = "bundle"
    TILE = "tile"
    ENTRY_FORM = "entry-form"
    ENTRY_PLACE = "entry-place"
    ENTRY_TYPE = "entry-type"
    ENTRY_FIELDS = "entry-fields"
    ENTRY_TIME = "entry-time"
    BEGIN = "begin"
    CHECKPOINT_GONE = "checkpoint-gone"
    UNSIGNED = "unsigned"
    OUTSIDE_UNKNOWN = "outside-unknown"
    OUTSIDE_LARGER = "outside-larger"
    OUTSIDE_DIFFERS = "outside-differs"


_CHANGED = N_("the folder was changed after it was written, or its disk is failing: bring back a copy and compare")
_SIGNED_SO = N_("the log's key signed it so: by other software than vaultd, or by somebody who had the key")
_REWRITTEN = N_(
    "the log was rewritten or rolled back by somebody who had its key: trust what is outside, not this folder"
)

TEXTS: dict[Code, tuple[str, str]] = {
    Code.UNREADABLE: (N_("cannot be read"), N_("nothing can be said about what is in it")),
    Code.NOT_A_FILE: (N_("is a link, a device, or a folder in place of a file (or the other way round)"), _CHANGED),
    Code.TOO_LARGE: (N_("is larger than it can be"), _CHANGED),
    Code.MISSING: (N_("is missing"), _CHANGED),
    Code.EXTRA: (N_("does not belong here"), N_("somebody put it there; vaultd did not")),
    Code.KEYS: (
        N_("the certificate of a key does not hold"),
        N_("who signed the log is not known: compare keys/ with a copy from elsewhere"),
    ),
    Code.ROOT_KEY: (
        N_("is another root key than the one on paper"), N_("it is another log, or its keys were replaced"),
    ),
    Code.KEY_ENTRY: (
        N_("the key's certificate is there, and the entry that announces it is not"),
        N_("the key was changed without a record of who did it"),
    ),
    Code.CHECKPOINT_FORM: (N_("is not a checkpoint of this log and this size"), _CHANGED),
    Code.CHECKPOINT_SIGNATURE: (
        N_("is not signed by the key that may sign this size, and by it alone"),
        N_("somebody else made it, or changed it"),
    ),
    Code.CHECKPOINT_ROOT: (
        N_("its root hash is not that of the entries before it"),
        N_("entries were changed after they were signed, and the tiles with them"),
    ),
    Code.CHECKPOINT_NEWEST: (
        N_("is not the newest checkpoint that is kept, byte for byte"),
        N_("one of the two was changed, or brought back from an older state"),
    ),
    Code.CHECKPOINT_ENTRY: (N_("names a checkpoint that is not kept, or is another"), _CHANGED),
    Code.CHECKPOINT_UNNAMED: (
        N_("no entry names it before the next checkpoint was signed"),
        N_("it was made apart from the log, by somebody who had the key"),
    ),
    Code.BUNDLE: (N_("does not hold the entries that it must, whole"), _CHANGED),
    Code.TILE: (N_("does not have the hashes that follow from the entries"), _CHANGED),
    Code.ENTRY_FORM: (N_("is not in the one form that entries have"), _SIGNED_SO),
    Code.ENTRY_PLACE: (N_("belongs to another place, or to another log"), _SIGNED_SO),
    Code.ENTRY_TYPE: (
        N_("is of a type that is not known"), N_("it is of a newer vaultd: verify with that one; or it is forged"),
    ),
    Code.ENTRY_FIELDS: (N_("does not have the fields of its type"), _SIGNED_SO),
    Code.ENTRY_TIME: (N_("has no proper time, or one before that of the entry ahead of it"), _SIGNED_SO),
    Code.BEGIN: (N_("the log must have one entry that begins it, the first"), _SIGNED_SO),
    Code.CHECKPOINT_GONE: (
        N_("begins after a newer checkpoint than the newest one here"),
        N_("the folder, or a part of it, was set back to an older state: compare with a checkpoint from elsewhere"),
    ),
    Code.UNSIGNED: (
        N_("is not signed, and does not agree with the log and its write-ahead files"),
        N_(
            "what the checkpoints here sign is not affected by it; what came later was changed, or a newer checkpoint "
            "was removed: compare with one from elsewhere"
        ),
    ),
    Code.OUTSIDE_UNKNOWN: (
        N_("is not a checkpoint that the keys of this log signed"),
        N_("it is of another log; or the keys of this one were replaced, or are those of before a key was changed"),
    ),
    Code.OUTSIDE_LARGER: (N_("is of more entries than are signed here"), _REWRITTEN),
    Code.OUTSIDE_DIFFERS: (N_("is of other entries than those here"), _REWRITTEN),
}  # fmt: skip
"""For each code what is the case, and what follows from it; for ``_``."""


class Finding(Exception):
    """The first thing that is wrong. ``file`` is below the ledger's folder, ``entry`` an index, ``outside`` the number
    of a checkpoint from elsewhere, from 0; ``why`` is what was found, if there is more to say."""

    def __init__(
        self, code: Code, file: str | None = None, *, entry: int | None = None, outside: int | None = None,
        why: str = "",
    ) -> None:  # fmt: skip
        super().__init__(code, file, entry, outside, why)
        self.code = code
        self.file = None if file is None else display(file)
        self.entry = entry
        self.outside = outside
        self.why = display(why[:_LONGEST].encode("utf-8", "surrogateescape"))

    @property
    def what(self) -> str:
        """What is the case, and where, for people."""
        where = [] if self.file is None else [self.file]
        if self.entry is not None:
            where.append(_("entry {index}").format(index=self.entry))
        if self.outside is not None:
            where.append(_("checkpoint {number} from elsewhere").format(number=self.outside + 1))
        found = _(TEXTS[self.code][0])
        if where:
            found = _("{where}: {what}").format(where=", ".join(where), what=found)
        return _("{what} ({why})").format(what=found, why=self.why) if self.why else found

    @property
    def meaning(self) -> str:
        """What follows from it, for people."""
        return _(TEXTS[self.code][1])

    def __str__(self) -> str:
        return f"{self.what}: {self.meaning}"
