"""Label sheets: A4, 24 labels of 70 x 37 mm, beginning at any of them, so that a sheet is used up.

The code holds the label number and nothing else: who finds a lost disk learns no more than what is printed, and who
scans it gets what the register is asked for.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaultd.i18n import _
from vaultd.media import words
from vaultd.media.faults import MediaError
from vaultd.paper.codes import picture
from vaultd.paper.page import TEXT, lacking, with_fonts
from vaultd.store.mediarows import Medium

if TYPE_CHECKING:
    from fpdf import FPDF

COLUMNS, ROWS = 3, 8
EACH = COLUMNS * ROWS
_WIDTH, _HEIGHT = 70.0, 297.0 / ROWS
_EDGE = 5.0
"""Millimetres: what a printer cannot reach, and a cutter may miss."""
_SIDE = 26.0
_SMALLEST = 5.0
STAND_IN = "〓"
"""Printed for a character that the font does not have, as typesetters do."""


@dataclass(frozen=True, slots=True)
class Sheets:
    """``lacking``: characters that the font does not have; ``cut``: labels on which a text did not fit whole."""

    pdf: bytes
    pages: int
    labels: list[str]
    lacking: str
    cut: list[str]


def draw(media: Sequence[Medium], organisation: str, start: int = 1) -> Sheets:
    """Labels for media, the first one at a place (1 to 24, line by line). Raises MediaError, PaperError."""
    if not 1 <= start <= EACH:
        raise MediaError(_("--start {number}").format(number=start), _("a sheet has the places 1 to {count}").format(
            count=EACH))  # fmt: skip
    if not media:
        raise MediaError(_("the labels"), _("there is none to print"))
    from fpdf import FPDF

    pdf = with_fonts(FPDF(format="A4"), mono=False)
    pdf.set_auto_page_break(False)
    pdf.set_margin(0)
    pdf.set_title("vaultd labels")
    rare = lacking(text for medium in media for text in _texts(medium, organisation))
    table = str.maketrans(dict.fromkeys(rare, STAND_IN))
    cut = []
    for place, medium in enumerate(media, start - 1):
        if place % EACH == 0 or place == start - 1:
            pdf.add_page()
        at = place % EACH
        x, y = (at % COLUMNS) * _WIDTH, (at // COLUMNS) * _HEIGHT
        if not _label(pdf, medium, [text.translate(table) for text in _texts(medium, organisation)], x, y):
            cut.append(medium.label)
    return Sheets(bytes(pdf.output()), pdf.pages_count, [one.label for one in media], rare, cut)


def _texts(medium: Medium, organisation: str) -> tuple[str, ...]:
    secret = words.CLASSIFICATIONS[medium.classification]
    copy = f"  份号 Copy {medium.copy}" if medium.copy else ""
    period = f"期限 Period {medium.period or '-'}{copy}"
    return (
        medium.label, f"{secret.zh} {secret.en}", period,
        f"责任人 Custodian {medium.custodian}", f"序列号 S/N {medium.serial or '-'}", organisation,
    )  # fmt: skip


def _label(pdf: FPDF, medium: Medium, texts: Sequence[str], x: float, y: float) -> bool:
    """One label; False when a text had to be cut."""
    code = picture(medium.label, 8)
    pdf.image(io.BytesIO(code), x=x + _EDGE - 1, y=y + (_HEIGHT - _SIDE) / 2, w=_SIDE, h=_SIDE)
    left, room = x + _EDGE + _SIDE, _WIDTH - 2 * _EDGE - _SIDE + 2
    whole, top = True, y + 5.0
    sizes = ((12.0, 5.6), (10.0, 5.4), (7.5, 4.1), (7.5, 4.1), (7.5, 4.1), (6.5, 3.8))
    for text, (size, height) in zip(texts, sizes, strict=True):
        whole = _line(pdf, text, left, top, room, size) and whole
        top += height
    return whole


def _line(pdf: FPDF, text: str, x: float, y: float, room: float, size: float) -> bool:
    """A text in one line, smaller where it is long; cut, with dots, where even the smallest is too long."""
    pdf.set_font(TEXT, size=size)
    while pdf.get_string_width(text) > room and size > _SMALLEST:
        size = max(_SMALLEST, size - 0.5)
        pdf.set_font(TEXT, size=size)
    whole = pdf.get_string_width(text) <= room
    while pdf.get_string_width(text) > room:
        text = text[:-2] + "…"
    pdf.text(x, y + 3.2, text)
    return whole
