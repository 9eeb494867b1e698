"""``python -m vaultd.pull FILE``: a new pull list for the configuration FILE, kept in its state folder.

The daemon starts it: a process of its own takes no memory from it, and where it hangs on a dying disk it is left behind.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vaultd import places
from vaultd.errors import VaultdError
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
    sys.exit(main(Path(sys.argv[1])))
