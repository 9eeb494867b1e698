"""The names of files that were an exception: only where they are asked for. Each once, with how often."""

from __future__ import annotations

from typing import Any

MOST = 500


class Names:
    """The first so many; those that come after are not listed."""

    def __init__(self, *, names: bool) -> None:
        self._wanted = names
        self._found = dict[tuple[str, str, str, str], int]()

    def add(self, vault: str, target: str, why: str, path: str) -> None:
        """A file was one: ``in_motion``, or ``differs`` (a verification has found it so). ``path`` is for people."""
        key = (vault, target, why, path)
        if self._wanted and (key in self._found or len(self._found) < MOST):
            self._found[key] = self._found.get(key, 0) + 1

    def figures(self) -> list[dict[str, Any]] | None:
        """What is told of them; None where they are not asked for."""
        if not self._wanted:
            return None
        return [
            {"vault": vault, "target": target or None, "why": why, "path": path, "count": count}
            for (vault, target, why, path), count in sorted(self._found.items())
        ]
