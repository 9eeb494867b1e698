"""The one writer of the ledger.

``writer`` records, signs, and goes on where the ledger cannot; ``forms`` makes entries of what a snapshot settles,
``prepared`` makes them ready beforehand; ``vaults`` says how each is protected; ``owed`` puts on record later what
could not be; ``leaving`` is for commands that are not the daemon.
"""

from vaultd.custody.forms import DOCUMENTS
from vaultd.custody.leaving import caller, leave, owe
from vaultd.custody.prepared import Prepared
from vaultd.custody.writer import Custody

__all__ = ["DOCUMENTS", "Custody", "Prepared", "caller", "leave", "owe"]
