"""Text that a person reads: gettext with the catalogues beside this file.

``_`` translates when it is called, so a message follows the language chosen with ``--lang`` or the locale.
``N_`` only marks a text for extraction; translate it later with ``_``.
"""

from __future__ import annotations

import gettext
import locale
import os
from pathlib import Path

DOMAIN = "vaultd"
LOCALE_DIR = Path(__file__).parent / "locale"

_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def choose(language: str | None = None) -> None:
    """Choose the catalogue: ``language`` ("en", "zh_CN"), else what LC_ALL, LC_MESSAGES or LANG say."""
    global _catalogue
    if language is None:
        names = [os.environ.get(name, "") for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")]
        language = next((name for name in names if name), "en")
    wanted = [locale.normalize(part).split(".")[0] for part in language.split(":")]
    _catalogue = gettext.translation(DOMAIN, LOCALE_DIR, languages=wanted, fallback=True)


def language() -> str:
    """What was chosen: "zh_CN"; "en" where there is no catalogue for it."""
    name, *rest = _catalogue.info().get("language", "en").split("_")  # a catalogue may name its script: zh_Hans_CN
    return "_".join([name, *rest[-1:]])


def _(message: str) -> str:
    """The message in the chosen language."""
    return _catalogue.gettext(message) if message else ""


def ngettext(one: str, many: str, count: int) -> str:
    """The form of a message that fits ``count``."""
    return _catalogue.ngettext(one, many, count)


def N_(message: str) -> str:
    """Mark a message for extraction without translating it yet."""
    return message
