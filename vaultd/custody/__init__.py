"""The one writer of the ledger.

``writer`` records, signs, and goes on where the ledger cannot; ``forms`` makes entries of what a snapshot settles,
``prepared`` makes them ready beforehand; ``vaults`` says how each is protected; ``owed`` puts on record later what
could not be; ``leaving`` is for commands that are not the daemon; ``documents`` are files that go with
the ledger.
"""

from vaultd.custody.documents import DOCUMENTS, give_to_owner, keep
from vaultd.custody.leaving import caller, leave, owe
from vaultd.custody.prepared import Prepared
from vaultd.custody.writer import Custody

__all__ = ["DOCUMENTS", "Custody", "Prepared", "caller", "give_to_owner", "keep", "leave", "owe"]
