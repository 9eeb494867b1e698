"""A text in English and Chinese side by side: whoever finds a sheet of paper reads one of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Both:
    """A text in both languages."""

    en: str
    zh: str

    def format(self, **values: object) -> Both:
        """Both with values put in."""
        return Both(self.en.format(**values), self.zh.format(**values))
