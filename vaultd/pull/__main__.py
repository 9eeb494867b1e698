"""``python -m vaultd.pull FILE PID``: a new pull list for the configuration FILE, kept in its state folder.

The daemon PID starts it: a process of its own takes no memory from it, and one that hangs on a dying disk is left
behind. It ends with its parent.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vaultd import places
from vaultd.errors import VaultdError
from vaultd.priority import die_with_parent
from vaultd.pull import kept, making
from vaultd.pull.stack import Reader
from vaultd.status import plans
from vaultd.store import Store


def main(file: Path) -> int:
    """Make and keep it. What goes wrong is said on stderr."""
    try:
        found = places.locate(file)
        store = Store(found.database, read_only=True)
        try:
            reader = Reader(sandboxed=True)
            made = making.fresh(found.state, found.host, plans(found.raw), store, reader, _tell)
        finally:
            store.close()
        kept.write(found.state, made)
    except VaultdError as error:
        _tell(str(error))
        return error.exit_code
    return 0


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[2]))
    sys.exit(main(Path(sys.argv[1])))
