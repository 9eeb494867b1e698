"""What goes into every ledger folder as ``SPEC/``: the format texts, and a verifier that needs nothing of vaultd."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from vaultd import files

FOLDER = "SPEC"
_SUFFIXES = (".md", ".sh")


def texts() -> dict[str, bytes]:
    """The files' names and contents."""
    found = sorted(resources.files(__name__).iterdir(), key=lambda one: one.name)
    return {one.name: one.read_bytes() for one in found if one.name.endswith(_SUFFIXES)}


def install(folder: Path) -> None:
    """Write ``SPEC/`` into a ledger folder. What is there already in these words stays; an older text is replaced."""
    where = folder / FOLDER
    files.make_private_directory(where)
    for name, content in texts().items():
        path = where / name
        if not path.is_file() or path.read_bytes() != content:
            files.replace(path, content)
