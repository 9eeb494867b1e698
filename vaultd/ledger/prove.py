"""A proof that an entry is in the log, for somebody who has nothing of it but a key (C2SP tlog-proof)."""

from __future__ import annotations

from pathlib import Path

from vaultd.errors import LedgerError
from vaultd.i18n import _
from vaultd.ledger import tree
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.proof import Proof
from vaultd.ledger.reading import Reader


def prove(path: Path, index: int) -> tuple[bytes, Proof]:
    """An entry's bytes, and the proof that it is in the tree of the newest checkpoint. Raises LedgerError where it is
    not signed yet, or the tiles do not lead to the checkpoint's root."""
    reader = Reader(path)
    signed, folder = reader.signed, LogFolder(path)
    leaf = reader.raw(index)
    what = _("entry {index} cannot be proved").format(index=index)
    if index >= signed.size:
        raise LedgerError(
            what, _("it is on record and not signed yet"),
            _("the daemon signs within a minute, and `vaultd backup` at its end; then again"),
        )  # fmt: skip
    try:
        hashes = tree.inclusion_proof(
            lambda height, number: folder.node(signed.size, height, number), index, signed.size
        )
        found = tree.root_from_inclusion(tree.leaf_hash(leaf), index, signed.size, hashes)
        checkpoint = folder.checkpoint_file.read_bytes()
    except (OSError, ValueError) as error:
        raise LedgerError(what, str(error), _("`vaultd ledger verify` says what is wrong")) from error
    if found != signed.root:
        raise LedgerError(
            what, _("its hashes do not lead to the checkpoint"), _("`vaultd ledger verify` says what is wrong")
        )
    return leaf, Proof(index, tuple(hashes), checkpoint)
