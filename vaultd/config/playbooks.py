"""Where the playbooks are: those that the package carries (config/playbooks), and a folder with the house's own.

One of the house takes the place of the package's with the same name. What is in them ``vaultd.warning.playbook`` reads.
"""

from __future__ import annotations

import contextlib
import re
from importlib import resources
from pathlib import Path

FOLDER = "playbook-files"
"""A link to config/playbooks; no name that Python could take for a package."""

_NAME = re.compile(r"([a-z0-9][a-z0-9-]{0,31})\.toml", re.ASCII)


def names(own: Path | None) -> list[str]:
    """Every name, sorted. ``own``: the folder of [response] playbooks; one that cannot be read has none."""
    found = [one.name for one in resources.files("vaultd.config").joinpath(FOLDER).iterdir()]
    if own is not None:
        with contextlib.suppress(OSError):
            found += [one.name for one in own.iterdir()]
    return sorted({match[1] for name in found if (match := _NAME.fullmatch(name))})


def text(name: str, own: Path | None) -> bytes:
    """The content of a playbook's file. Raises FileNotFoundError for a name that there is not, and OSError."""
    if name not in names(own):
        raise FileNotFoundError(name)
    if own is not None and (own / f"{name}.toml").is_file():
        return (own / f"{name}.toml").read_bytes()
    return resources.files("vaultd.config").joinpath(FOLDER, f"{name}.toml").read_bytes()
