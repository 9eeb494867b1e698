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


def render(figures: Mapping[str, Any], zone: timezone, language: str) -> str:
    """The whole report as one HTML file that needs no other. Raises MissingPartError."""
    environment = _environment(zone)
    template = environment.get_template("audit.html")
    return template.render(audit=figures, language=language.replace("_", "-"), now=figures["period"]["record_ends"])


def _environment(zone: timezone) -> Environment:
    check()
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from vaultd.report import plots

    made = Environment(
        loader=PackageLoader("vaultd.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_plain,
    )  # fmt: skip
    made.globals.update(_=_, ngettext=ngettext, plots=plots, zone=zone)
    made.filters.update(
        moment=lambda text: "–" if text is None else period.shown(text, zone),
        duration=lambda seconds: "–" if seconds is None else units.duration(seconds),
        size=units.size, number=units.number, word=words.word, deed=words.deed, alert=words.alert, field=words.field,
        percent=lambda share: "–" if share is None else f"{share * 100:.1f} %",
        or_dash=lambda found: "–" if found in (None, "") else found,
    )  # fmt: skip
    made.globals["value"] = words.value
    return made


def _plain(found: Any) -> Any:
    """Before it is escaped: text whose every character can be printed. Numbers and pictures stay as they are."""
    return words.printable(found) if type(found) is str else found
