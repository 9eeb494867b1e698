"""The ledger: whether it is there, is this host's, and can be signed with its key."""

from __future__ import annotations

from collections.abc import Iterator

from vaultd.config import Config
from vaultd.doctor.finding import FAULT, FINE, Finding
from vaultd.errors import LedgerError
from vaultd.i18n import _
from vaultd.ledger import epochs, private, reading


def check_ledger(config: Config) -> Iterator[Finding]:
    """Look at folder and key; nothing where there is no vault either. What is in it is for ``vaultd ledger verify``."""
    folder = config.ledger_folder
    if not config.vault and not folder.exists():
        return
    try:
        origin = reading.origin_of(folder, config.host.name)
        key = private.read(config.ledger_key, origin)
        keys = epochs.read(folder)
    except LedgerError as error:
        yield Finding.of("ledger", error)
        return
    except (OSError, ValueError) as error:
        yield Finding(FAULT, "ledger", str(error), _("`vaultd ledger verify` says what is wrong"))
        return
    if key.verifier not in {one.key for one in keys.epochs}:
        text = _("the ledger {origin}: its key is another one than the log's").format(origin=origin)
        yield Finding(FAULT, "ledger", text, _("bring back the key that belongs to it"))
        return
    yield Finding(FINE, "ledger", _("the ledger {origin} is there, and its key").format(origin=origin))
