"""Text that a person reads: gettext with the catalogues beside this file.

``_`` translates when it is called, so a message follows the language chosen with ``--lang`` or the locale.
``N_`` only marks a text for extraction; translate it later with ``_``.
"""

from __future__ import annotations

import contextlib
import contextvars
import gettext
import locale
import os
from collections.abc import Iterator
from pathlib import Path

DOMAIN = "vaultd"
LOCALE_DIR = Path(__file__).parent / "locale"

_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_spoken: contextvars.ContextVar[gettext.NullTranslations | None] = contextvars.ContextVar("spoken", default=None)


def choose(language: str | None = None) -> None:
    """Choose the catalogue: ``language`` ("en", "zh_CN"), else what LC_ALL, LC_MESSAGES or LANG say."""
    global _catalogue
    if language is None:
        names = [os.environ.get(name, "") for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")]
        language = next((name for name in names if name), "en")
    _catalogue = _of(language)


def _of(language: str) -> gettext.NullTranslations:
    wanted = [locale.normalize(part).split(".")[0] for part in language.split(":")]
    return gettext.translation(DOMAIN, LOCALE_DIR, languages=wanted, fallback=True)


def _current() -> gettext.NullTranslations:
    return _spoken.get() or _catalogue


@contextlib.contextmanager
def speaking(language: str | None) -> Iterator[None]:
    """Inside, texts are in this language, in this thread or task alone: for what somebody else will read. None: as
    chosen."""
    if language is None:
        yield
        return
    before = _spoken.set(_of(language))
    try:
        yield
    finally:
        _spoken.reset(before)


def language() -> str:
    """What was chosen: "zh_CN"; "en" where there is no catalogue for it."""
    name, *rest = _current().info().get("language", "en").split("_")  # a catalogue may name its script: zh_Hans_CN
    return "_".join([name, *rest[-1:]])


def _(message: str) -> str:
    """The message in the chosen language."""
    return _current().gettext(message) if message else ""


def ngettext(one: str, many: str, count: int) -> str:
    """The form of a message that fits ``count``."""
    return _current().ngettext(one, many, count)


def N_(message: str) -> str:
    """Mark a message for extraction without translating it yet."""
    return message
