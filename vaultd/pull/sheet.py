"""The page that somebody carries into the machine room: disks in their order with a box to tick, the picture of the
chassis, what is complete after which, the commands. English and Chinese side by side; black and white will do.

The QR code at the top holds the list's number and nothing else; that of a disk its label, or its key where it has none:
who takes the sheet's sign-offs into the register scans it (``vaultd evacuate sign-off``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vaultd import units
from vaultd.media.words import CLASSIFICATIONS
from vaultd.paper import codes
from vaultd.paper.both import Both
from vaultd.paper.page import MONO, TEXT, Paper, lacking
from vaultd.pull import sheet_cells as cells
from vaultd.pull import sheet_texts as texts
from vaultd.pull import words
from vaultd.pull.chassis import Chassis, colours, marked
from vaultd.pull.model import Pull, PullList, Step, VaultLine, new_steps
from vaultd.pull.order import by_bay
from vaultd.pull.sheet_cells import joined

if TYPE_CHECKING:
    from fpdf import FPDF

LEFT, WIDTH, BOTTOM = 12.0, 186.0, 278.0
"""Millimetres of an A4 page."""

_CODE = 24.0
_PICTURE = 46.0
"""Of a chassis, in height at most."""

_COLUMNS = (7.0, 7.0, 20.0, 23.0, 38.0, 36.0, 39.0, 16.0)
_DISK_CODE = 15.0
"""Millimetres: with the quiet zone around it a phone reads it."""

_LINE = 3.9
"""Of what is written by hand."""


def draw(made: PullList, now: int, chassis: Sequence[Chassis] = ()) -> tuple[bytes, str]:
    """The PDF, and the characters that the font does not have (each once). Raises PaperError without a font.

    ``now``: when it is printed, nanoseconds since 1970.
    """
    sheet = _Sheet(made)
    sheet.head(now)
    for one in chassis:
        sheet.picture(one)
    if not chassis:
        sheet.bays()
    sheet.rows()
    return sheet.paper.encoded(), lacking(cells.every(made))


_MANY = 6
"""Of more vaults than this only those are listed at the top of which more is to be said than the bars below do."""


def _says_nothing(line: VaultLine) -> bool:
    return line.after is not None and not line.notes and not line.need.pending_files


class _Sheet:
    def __init__(self, made: PullList) -> None:
        self.made = made
        foot = texts.FOOT.format(number=made.number, host=made.host.replace("{", "").replace("}", ""), page="{page}")
        self.paper = Paper((foot.en, foot.zh))
        self.pdf: FPDF = self.paper.pdf
        self.pdf.set_title(f"vaultd pull list {made.number}")
        self.pdf.set_margins(LEFT, 12, 210 - LEFT - WIDTH)
        self.pdf.set_auto_page_break(False)
        self.paper.page()

    def room(self, height: float) -> None:
        """A new page where that much does not fit any more."""
        if self.pdf.get_y() + height > BOTTOM:
            self.paper.page()

    def say(self, both: Both, size: float = 8.5) -> None:
        """English, then Chinese, on as many lines as they take."""
        self.pdf.set_x(LEFT)
        self.pdf.set_font(TEXT, size=size)
        self.pdf.multi_cell(
            WIDTH, size * 0.45, f"{both.en}  {both.zh}", new_x="LMARGIN", new_y="NEXT", align="L",
            wrapmode=self.paper.char,
        )  # fmt: skip

    # the head

    def head(self, now: int) -> None:
        """Title, code, host and age, vaults."""
        made, pdf = self.made, self.pdf
        top = pdf.get_y()
        self.paper.picture(codes.picture(made.number), LEFT + WIDTH - _CODE, top - 3, _CODE)
        pdf.set_right_margin(210 - LEFT - WIDTH + _CODE + 2)
        pdf.set_font(TEXT, size=17)
        pdf.cell(0, 8, f"{texts.TITLE.en} {texts.TITLE.zh}  {made.number}", new_x="LMARGIN", new_y="NEXT")
        age = texts.AGE.format(age=units.duration(max(0, now - made.time) / units.SECOND))
        for name, text in ((texts.HOST, made.host), (texts.TIME, f"{units.local(made.time)}  ({age.en} {age.zh})")):
            pdf.set_font(TEXT, size=9)
            pdf.cell(0, 4.6, f"{name.en} {name.zh}:  {text}", new_x="LMARGIN", new_y="NEXT")
        highest = next((one for one in CLASSIFICATIONS if any(v.need.classification == one for v in made.vaults)), None)
        if highest is not None:
            named = CLASSIFICATIONS[highest]
            both = Both(texts.SECRET.en.format(text=named.en), texts.SECRET.zh.format(text=named.zh))
            pdf.cell(0, 4.6, f"{both.en}  {both.zh}", new_x="LMARGIN", new_y="NEXT")
        pdf.set_right_margin(210 - LEFT - WIDTH)
        pdf.set_y(max(pdf.get_y(), top + _CODE - 4))
        self.say(texts.HOW, 8)
        pdf.ln(1.5)
        for line in made.vaults:
            if len(made.vaults) > _MANY and _says_nothing(line):
                continue
            need = line.need
            said = texts.AFTER.format(number=line.after) if line.after is not None else texts.NO_PROMISE
            notes = [f"{texts.NOTES[code].en} {texts.NOTES[code].zh}" for code in line.notes if code in texts.NOTES]
            if need.pending_files:
                notes.insert(
                    0, joined(texts.PENDING.format(count=need.pending_files, size=units.size(need.pending_bytes)))
                )
            who = f" ({need.custodian})" if need.custodian else ""
            text = f"{need.priority}  {need.vault}{who}:  {said.en} {said.zh}" + "".join(f";  {one}" for one in notes)
            self.room(4)
            pdf.set_font(TEXT, size=8.5)
            pdf.multi_cell(WIDTH, 3.9, text, new_x="LMARGIN", new_y="NEXT", align="L", wrapmode=self.paper.char)
        pdf.ln(2)

    # the chassis

    def picture(self, chassis: Chassis) -> None:
        """A chassis with the bays to pull."""
        scale = min(WIDTH / chassis.width, _PICTURE / chassis.height)
        pdf = self.pdf
        self.room(chassis.height * scale + 7)
        pdf.set_font(TEXT, size=8)
        pdf.cell(0, 4, chassis.title, new_x="LMARGIN", new_y="NEXT")
        left, top = LEFT + (WIDTH - chassis.width * scale) / 2, pdf.get_y()
        pdf.rect(left, top, chassis.width * scale, chassis.height * scale)
        for one in marked(chassis, self.made):
            slot = one.slot
            fill, ink = colours(one)
            box = (left + slot.x * scale, top + slot.y * scale, slot.width * scale, slot.height * scale)
            self.bay(box, slot.name, "" if one.number is None else str(one.number), fill, ink)
        pdf.set_xy(LEFT, top + chassis.height * scale + 3)

    def bay(self, box: tuple[float, float, float, float], name: str, number: str, fill: str, ink: str) -> None:
        """One bay: its name small, the number of the disk large."""
        pdf, (x, y, width, height) = self.pdf, box
        pdf.set_fill_color(*_rgb(fill))
        pdf.set_text_color(*_rgb(ink))
        pdf.rect(x, y, width, height, style="DF")
        small = max(3.5, min(7.0, min(width, height) * 0.9))
        pdf.set_font(TEXT, size=small)
        pdf.text(x + 0.6, y + small * 0.36, name)
        if number:
            large = max(6.0, min(16.0, min(width, height) * 1.7))
            pdf.set_font(TEXT, size=large)
            pdf.text(x + width / 2 - pdf.get_string_width(number) / 2, y + height / 2 + large * 0.15, number)
        pdf.set_text_color(0)
        pdf.set_fill_color(255)

    def bays(self) -> None:
        """Where there is no layout: the bays in their own order, and which disk of the list each is."""
        known = [pull for pull in self.made.pulls if pull.disk.bay is not None]
        found = sorted(known, key=lambda one: by_bay(one.disk))
        across, height = 6, 9.0
        width = WIDTH / across
        for at in range(0, len(found), across):
            self.room(height + 2)
            top = self.pdf.get_y()
            for place, pull in enumerate(found[at : at + across]):
                fill, ink = ("#000000", "#ffffff") if pull.needed else ("#c0c0c0", "#000000")
                name = pull.disk.bay.text if pull.disk.bay is not None else ""
                self.bay((LEFT + place * width, top, width - 1, height), name, str(pull.number), fill, ink)
            self.pdf.set_xy(LEFT, top + height + 1)
        self.pdf.ln(2)

    # the disks

    def rows(self) -> None:
        """Every disk, in its order."""
        if not self.made.pulls:
            self.say(texts.NONE, 11)
            return
        self.room(20)
        self._heads()
        shown = set[tuple[str, ...]]()
        for pull in self.made.pulls:
            self._row(pull, new_steps(pull, shown) if pull.gone is None else [])
            if pull.completes:
                self._bar(joined(texts.COMPLETE.format(number=pull.number, vaults=", ".join(pull.completes))))

    def _heads(self) -> None:
        pdf, x, y = self.pdf, LEFT, self.pdf.get_y()
        pdf.set_font(TEXT, size=7.5)
        for head, width in zip(texts.HEADS, _COLUMNS, strict=True):
            for text, line in ((head.en, 0.0), (head.zh, 3.2)):
                pdf.set_xy(x, y + line)
                pdf.cell(width, 3.2, text)
            x += width
        pdf.set_xy(LEFT, y + 7)

    def _row(self, pull: Pull, steps: Sequence[Step]) -> None:
        pdf = self.pdf
        label = pull.label.number if pull.label is not None else ""
        row = (
            "", str(pull.number), cells.bay(pull), label, cells.disk(pull), cells.holds(pull, self.made), "", ""
        )  # fmt: skip
        below = [words.command(step) or joined(texts.DOES[step.do]) for step in steps]
        if pull.procedure is not None and pull.procedure.users:
            below.insert(0, joined(texts.USERS.format(names=", ".join(map(words.user, pull.procedure.users)))))
        sizes = (8, 11, 9.5, 9, 8, 7.5, 8, 8)
        heights = [
            self._height(text, width, size) for text, width, size in zip(row, _COLUMNS, sizes, strict=True)
        ]  # fmt: skip
        high = max(_DISK_CODE, *heights) + 1.2
        note = "   ;   ".join(below)
        tail = self._height(note, WIDTH - 14, 6.5, MONO) + 0.8 if note else 0.0
        if pdf.get_y() + high + tail + (6 if pull.completes else 0) > BOTTOM:
            self.paper.page()
            self._heads()
        top, x = pdf.get_y(), LEFT
        pdf.line(LEFT, top, LEFT + WIDTH, top)
        pdf.rect(LEFT + 1, top + 1.6, 4.6, 4.6)
        for text, width, size in zip(row, _COLUMNS, sizes, strict=True):
            if text:
                pdf.set_xy(x, top + 0.8)
                pdf.set_font(TEXT, size=size)
                pdf.multi_cell(width, _high(size), text, align="L")
            x += width
        self._to_sign(pull, LEFT + WIDTH - sum(_COLUMNS[-2:]), top, high)
        self.paper.picture(codes.picture(cells.code_of(pull)), LEFT + WIDTH - _DISK_CODE, top + 0.6, _DISK_CODE)
        if note:
            pdf.set_xy(LEFT + 14, top + high)
            pdf.set_font(MONO, size=6.5)
            pdf.multi_cell(WIDTH - 14, _high(6.5), note, align="L")
        pdf.set_xy(LEFT, top + high + tail)

    def _to_sign(self, pull: Pull, x: float, top: float, high: float) -> None:
        """Lines for who gave it to whom, the seal and the time; filled in for a disk that has left."""
        pdf, gone, width = self.pdf, pull.gone, _COLUMNS[-2]
        pdf.line(x, top, x, top + high)
        said = ("", "", "", "") if gone is None else (gone.by, gone.to, gone.seal, units.local(gone.time)[5:])
        for number, (name, text) in enumerate(zip(texts.SIGN, said, strict=True)):
            y = top + 0.4 + number * _LINE
            pdf.set_font(TEXT, size=5.5)
            pdf.set_xy(x + 0.5, y)
            pdf.cell(13, _LINE, f"{name.en} {name.zh}")
            pdf.set_font(TEXT, size=7)
            pdf.set_xy(x + 12, y)
            pdf.cell(width - 13, _LINE, text[:20])
            pdf.line(x + 12, y + _LINE - 0.3, x + width - 1, y + _LINE - 0.3)
        if gone is not None:
            pdf.line(LEFT + 1, top + 1.6, LEFT + 5.6, top + 6.2)
            pdf.line(LEFT + 5.6, top + 1.6, LEFT + 1, top + 6.2)

    def _height(self, text: str, width: float, size: float, font: str = TEXT) -> float:
        if not text:
            return 0.0
        self.pdf.set_font(font, size=size)
        lines = self.pdf.multi_cell(width, _high(size), text, align="L", dry_run=True, output="LINES")
        return len(lines) * _high(size) if isinstance(lines, list) else _high(size)

    def _bar(self, text: str) -> None:
        """White on black, across the page."""
        pdf, y = self.pdf, self.pdf.get_y()
        pdf.set_fill_color(0)
        pdf.set_text_color(255)
        pdf.set_font(TEXT, size=9)
        pdf.set_xy(LEFT, y + 0.3)
        pdf.multi_cell(WIDTH, 4.8, text, align="C", fill=True, wrapmode=self.paper.char)
        pdf.set_text_color(0)
        pdf.set_fill_color(255)
        pdf.set_xy(LEFT, pdf.get_y() + 5.4 if pdf.get_y() < y + 1 else pdf.get_y() + 0.5)


def _high(size: float) -> float:
    return size * 0.43


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
