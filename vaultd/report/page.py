"""The pages, from the figures: one set of Jinja2 templates for HTML, of which the PDF is made too.

Everything is escaped by the templates' environment, and whatever is not printable (a terminal's codes, marks that turn
the direction of text) is shown as ``\\xNN``: names and persons' words come from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timezone
from typing import TYPE_CHECKING, Any

from vaultd import units
from vaultd.errors import VaultdError
from vaultd.i18n import _, ngettext
from vaultd.report import period, words

if TYPE_CHECKING:
    from jinja2 import Environment


class MissingPartError(VaultdError):
    """A part of vaultd that reports need is not installed."""

    code = "missing-part"


def missing(package: str) -> MissingPartError:
    """The error for a package of the extra "report" that is not there."""
    return MissingPartError(
        _("there is no report"), _("the Python package {name} is not installed").format(name=package),
        _("install vaultd with its reports: pip install 'vaultd[report]'"),
    )  # fmt: skip


def check() -> None:
    """Raise MissingPartError when pages cannot be made here: before long work for them."""
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise missing("jinja2") from error
    del jinja2


LONGEST = 300
"""So many characters of a text are shown: an entry has up to 65,535 bytes, and a row must fit on a page."""


def render(figures: Mapping[str, Any], zone: timezone, language: str, kind: str = "audit") -> str:
    """The whole report as one HTML file that needs no other. ``kind``: its template, which knows the figures by this
    name ("audit", "evacuation", "trend"). Raises MissingPartError."""
    template = _environment(zone).get_template(f"{kind}.html")
    return template.render(
        **{kind: figures}, report=figures, language=language.replace("_", "-"), now=figures["period"]["record_ends"]
    )


def _environment(zone: timezone) -> Environment:
    check()
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from vaultd.report import evacuation_plots, evacuation_words, plots, trend_plots

    made = Environment(
        loader=PackageLoader("vaultd.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_plain,
    )  # fmt: skip
    made.globals.update(
        _=_, ngettext=ngettext, plots=plots, zone=zone, evacuation_plots=evacuation_plots, trend_plots=trend_plots,
        names=evacuation_words,
    )  # fmt: skip
    made.filters.update(
        moment=lambda text: "–" if text is None else period.shown(text, zone),
        day=lambda text: "–" if text is None else period.shown(text, zone)[:10],
        duration=lambda seconds: "–" if seconds is None else units.duration(seconds),
        size=units.size, number=units.number, word=words.word, deed=words.deed, alert=words.alert, field=words.field,
        percent=lambda share: "–" if share is None else f"{share * 100:.1f} %",
        or_dash=lambda found: "–" if found in (None, "") else found,
    )  # fmt: skip
    made.globals["value"] = words.value
    return made


def _plain(found: Any) -> Any:
    """Before it is escaped: text whose every character can be printed. Numbers and pictures stay as they are."""
    if type(found) is not str:
        return found
    if len(found) > LONGEST:
        left = units.number(len(found) - LONGEST)
        found = found[:LONGEST] + _("… ({count} characters more)").format(count=left)
    return words.printable(found)
