"""A PDF of a page, by WeasyPrint: the same page gives the same bytes, with the same WeasyPrint and fonts.

Its dates are those in the page, its identifier is made of the page. It may load nothing: a page needs no other file.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from vaultd.i18n import _
from vaultd.report import fonts
from vaultd.report.page import MissingPartError, missing


def check(language: str) -> None:
    """Raise MissingPartError when no PDF in this language can be made here: before long work for one."""
    _weasyprint()
    fonts.check("审计报告" if language.startswith("zh") else "Audit")


def make(page: str, moment: str) -> tuple[bytes, str]:
    """The PDF, and the characters that no font here has. ``moment``: what it is dated, as JSON has it.

    Raises MissingPartError when WeasyPrint, one of its libraries or a Chinese font is not there.
    """
    html, fetcher = _weasyprint()
    lacking = fonts.check(page)
    with _dated(moment):
        made: bytes = html(string=page, url_fetcher=fetcher(allowed_protocols=())).write_pdf(
            pdf_identifier=hashlib.sha256(page.encode()).digest()[:16]
        )
    return made, lacking


def _weasyprint() -> tuple[Any, Any]:
    """What makes a document, and what would fetch the files that it names."""
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    try:
        from weasyprint import HTML  # type: ignore[import-untyped]
        from weasyprint.urls import URLFetcher  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise missing("weasyprint") from error
    except OSError as error:  # one of Debian's libraries
        raise MissingPartError(
            _("there is no PDF"), str(error).partition("\n")[0],
            _("install its libraries: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"),
        ) from error  # fmt: skip
    return HTML, URLFetcher


@contextmanager
def _dated(moment: str) -> Iterator[None]:
    """The fonts in it are dated by this, where the libraries date them at all."""
    before = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = str(int(datetime.fromisoformat(moment).timestamp()))
    try:
        yield
    finally:
        if before is None:
            del os.environ["SOURCE_DATE_EPOCH"]
        else:
            os.environ["SOURCE_DATE_EPOCH"] = before
