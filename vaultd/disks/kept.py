"""The last inventory, kept as a file in the state folder (0600): in an emergency nothing is probed, this is printed."""

from __future__ import annotations

import json
from pathlib import Path

from vaultd.disks import form
from vaultd.disks.model import Inventory
from vaultd.errors import StateError
from vaultd.files import replace
from vaultd.i18n import _
from vaultd.names import display


def file(state: Path) -> Path:
    """Where it is kept in a state folder."""
    return state / "disks.json"


def answers(state: Path) -> Path:
    """Where the answers of programs are kept (``vaultd.disks.helper.Kept``)."""
    return state / "disks-answers.json"


def keep(state: Path, inventory: Inventory) -> None:
    """Put it in place of the last one. Raises OSError."""
    replace(file(state), json.dumps(form.inventory(inventory), separators=(",", ":")).encode())


def last(state: Path) -> Inventory | None:
    """The last one; None when there is none yet. Raises StateError when it cannot be read."""
    path = file(state)
    try:
        return form.read_inventory(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        why = (
            error.strerror
            if isinstance(error, OSError) and error.strerror
            else _("it is damaged, or of another version")
        )
        raise StateError(
            _("the kept list of disks {file}").format(file=display(path)), why, _("make it anew: vaultd disks list")
        ) from None
