"""Pages with both languages: the fonts, and the few shapes that a sheet is drawn with. fpdf2 makes the PDF.

fpdf2 leaves out a character that the font lacks, with a word in a log: who draws what people have written asks
``lacking`` first, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vaultd.i18n import _
from vaultd.paper.both import Both
from vaultd.paper.faults import PaperError

if TYPE_CHECKING:
    from fpdf import FPDF

FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
"""Of Debian's package fonts-wqy-microhei: Latin and Chinese, proportional (0) and with one width (1), and small."""

TEXT, MONO = "text", "mono"
_PIECE = re.compile(r"(?:[\x21-\x7e]+|.)[，。；：、）”？！…]* ?", re.DOTALL)
MARGIN, WIDTH = 18.0, 174.0
"""Millimetres, of an A4 page."""


@lru_cache(maxsize=4)
def _characters(font: Path) -> frozenset[int]:
    """What a font can show."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    check(font)
    with TTFont(font, fontNumber=0, lazy=True) as opened:
        return frozenset(opened.getBestCmap())


def lacking(texts: Iterable[str], font: Path = FONT) -> str:
    """The characters of some texts that the font does not have, each once, in order; what is not to be seen (blanks,
    line ends) does not count. Raises PaperError when the font is missing."""
    known = _characters(font)
    wanted = {one for text in texts for one in text if not one.isspace()}
    return "".join(sorted(one for one in wanted if ord(one) not in known))


def check(font: Path = FONT) -> None:
    """Raise PaperError when the font is missing: before any work for a page."""
    if not font.exists():
        raise PaperError(
            _("the sheets cannot be drawn"), _("there is no font {file}").format(file=font),
            _("apt-get install fonts-wqy-microhei"),
        )  # fmt: skip


def with_fonts(pdf: FPDF, font: Path = FONT, *, mono: bool = True) -> FPDF:
    """A document that knows both fonts, ``TEXT`` and (it takes half a second) ``MONO``. Raises PaperError when they are
    missing."""
    check(font)
    pdf.add_font(TEXT, fname=font, collection_font_number=0)
    if mono:
        pdf.add_font(MONO, fname=font, collection_font_number=1)
    return pdf


class Paper:
    """Pages of A4 that are filled from the top."""

    def __init__(self, foot: Sequence[str], font: Path = FONT) -> None:
        """``foot``: what stands under every page, with ``{page}``. Raises PaperError when the font is missing."""
        check(font)
        from fpdf import FPDF
        from fpdf.enums import WrapMode

        self.char = WrapMode.CHAR  # Chinese has no blanks, and a key none to spare

        class Page(FPDF):
            def footer(self) -> None:
                self.set_y(-14)
                self.set_font(TEXT, size=8)
                self.set_text_color(90)
                self.cell(0, 4, "   ".join(foot).format(page=self.page_no()), align="C")
                self.set_text_color(0)

        self.pdf: FPDF = with_fonts(Page(format="A4"), font)
        self.pdf.set_margins(MARGIN, 16, MARGIN)
        self.pdf.set_auto_page_break(True, 18)

    def page(self) -> None:
        """A new page."""
        self.pdf.add_page()

    def title(self, both: Both, size: float = 20) -> None:
        """A heading: Chinese after the English."""
        self.pdf.set_font(TEXT, size=size)
        self.pdf.multi_cell(0, size * 0.5, f"{both.en}  {both.zh}", new_x="LMARGIN", new_y="NEXT", align="L")
        self.pdf.ln(size * 0.08)

    def text(self, both: Both, size: float = 10) -> None:
        """A paragraph in English, and the same in Chinese under it."""
        pdf = self.pdf
        pdf.set_font(TEXT, size=size)
        pdf.multi_cell(0, size * 0.48, both.en, new_x="LMARGIN", new_y="NEXT", align="L")
        pdf.multi_cell(0, size * 0.5, self._broken(both.zh), new_x="LMARGIN", new_y="NEXT", align="L")
        pdf.ln(1.5)

    def _broken(self, text: str) -> str:
        """A Chinese text with its line ends: between any two characters, but not in a Latin word, nor before a closing
        mark. (fpdf2 breaks at blanks alone, or anywhere.)"""
        room = self.pdf.epw - 2 * self.pdf.c_margin
        lines = [""]
        for piece in _PIECE.findall(text):
            if lines[-1] and self.pdf.get_string_width(lines[-1] + piece.rstrip()) > room:
                lines.append("")
            lines[-1] += piece
        return "\n".join(lines)

    def boxed(self, both: Both) -> None:
        """A paragraph in a frame."""
        pdf = self.pdf
        top = pdf.get_y()
        pdf.set_xy(MARGIN + 3, top + 2.5)
        pdf.set_left_margin(MARGIN + 3)
        pdf.set_right_margin(MARGIN + 3)
        self.text(both, 10)
        pdf.set_left_margin(MARGIN)
        pdf.set_right_margin(MARGIN)
        bottom = pdf.get_y() + 0.5
        pdf.set_line_width(0.6)
        pdf.rect(MARGIN, top, WIDTH, bottom - top)
        pdf.set_line_width(0.2)
        pdf.set_xy(MARGIN, bottom + 4)

    def facts(self, rows: Sequence[tuple[Both, str]], *, mono: bool = False, size: float = 9.5) -> None:
        """Names and values, each row under a thin line. Long values are broken anywhere."""
        pdf, left = self.pdf, 52.0
        for name, value in rows:
            if pdf.get_y() > 265:
                pdf.add_page()
            top = pdf.get_y()
            pdf.line(MARGIN, top, MARGIN + WIDTH, top)
            pdf.set_xy(MARGIN, top + 0.8)
            pdf.set_font(TEXT, size=8.5)
            pdf.multi_cell(left, 4.2, f"{name.en}\n{name.zh}", align="L")
            below = pdf.get_y()
            pdf.set_xy(MARGIN + left, top + 1.2)
            pdf.set_font(MONO if mono else TEXT, size=size)
            pdf.multi_cell(
                WIDTH - left, 4.6, value or " ", new_x="LMARGIN", new_y="NEXT", align="L", wrapmode=self.char
            )
            pdf.set_xy(MARGIN, max(below, pdf.get_y()) + 0.8)
        pdf.line(MARGIN, pdf.get_y(), MARGIN + WIDTH, pdf.get_y())
        pdf.ln(4)

    def lines(self, texts: Sequence[str], size: float = 9) -> None:
        """Lines to be typed as they stand, on grey."""
        pdf = self.pdf
        pdf.set_font(MONO, size=size)
        pdf.set_fill_color(240)
        for text in texts:
            pdf.multi_cell(
                0, size * 0.5, text, new_x="LMARGIN", new_y="NEXT", align="L", fill=True, wrapmode=self.char
            )  # fmt: skip
        pdf.ln(2)

    def picture(self, png: bytes, x: float, y: float, side: float) -> None:
        """A square picture, in millimetres."""
        import io

        self.pdf.image(io.BytesIO(png), x=x, y=y, w=side, h=side)

    def encoded(self) -> bytes:
        """The PDF."""
        return bytes(self.pdf.output())
