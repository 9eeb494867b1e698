"""No path of a vault leaves the host in a notice: who reads a chat may not know what is protected here.

File names alone cannot be recognised: whoever writes a notice leaves them out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vaultd.i18n import _
from vaultd.notices.model import Notice


def names_path(text: str, paths: Iterable[Path]) -> bool:
    """Whether a text holds one of these paths, or one below."""
    return any(_pattern(path).search(text) is not None for path in paths)


def _pattern(path: Path) -> re.Pattern[str]:
    known = re.escape(os.fspath(path).rstrip("/"))
    # Chinese has no blanks: only letters of ASCII make another path of it.
    return re.compile(rf"(?<![A-Za-z0-9_/.-]){known}(?![A-Za-z0-9_-])" if known else r"(?<![A-Za-z0-9_/.:-])/\w")


def fit(notice: Notice, paths: Iterable[Path], *, allow_names: bool) -> Notice:
    """The notice as it may be told: itself, or what says that its text is held back."""
    told = (notice.title, notice.text, notice.of, *notice.recipients)
    if allow_names or not any(names_path(text, paths) for text in told):
        return notice
    return replace(
        notice, of="-" if names_path(notice.of, paths) else notice.of, title=_("A notice that is held back"),
        text=_("Its text names a folder of a vault, which is not told outside of the host. On the host: "
               "vaultd notify list"),
        recipients=tuple(one for one in notice.recipients if not names_path(one, paths)),
    )  # fmt: skip
