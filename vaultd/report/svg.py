"""Pictures as SVG text, the same for the same figures: no ids, no clock, numbers with one digit after the point.

Texts are escaped here; what comes out is marked as safe for the templates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from vaultd.report.words import printable

Point = tuple[float, float]

STYLE = Markup(
    "<style>text{font:7.5px sans-serif;fill:#445}.grid{stroke:#dde1e6;stroke-width:.6;fill:none}"
    ".axis{stroke:#667;stroke-width:.8;fill:none}.area{fill:#2f6db5;fill-opacity:.18;stroke:none}"
    ".curve{stroke:#2f6db5;stroke-width:1.1;fill:none}.good.area{fill:#2e7d4f;fill-opacity:.18}"
    ".good.curve{stroke:#2e7d4f}.goal{stroke:#b3261e;stroke-width:1;stroke-dasharray:4 2;fill:none}"
    ".down{fill:#778;fill-opacity:.25}.dot{fill:#2f6db5}.curve.line1{stroke:#b3261e}.dot.line1{fill:#b3261e}"
    ".curve.line2{stroke:#2e7d4f}.dot.line2{fill:#2e7d4f}.curve.line3{stroke:#8a5a00}.dot.line3{fill:#8a5a00}"
    ".curve.line4{stroke:#6a3d9a}.dot.line4{fill:#6a3d9a}.curve.line5{stroke:#333}.dot.line5{fill:#333}"
    ".flag{stroke:#334;stroke-width:.7;stroke-dasharray:1.5 1.5;fill:none}.lane{fill:#f4f6f8}"
    ".bar{fill:#2f6db5;fill-opacity:.75}.bar.good{fill:#2e7d4f;fill-opacity:.75}.bar.pale{fill-opacity:.22}"
    ".bar.bad{fill:#b3261e;fill-opacity:.75}.cut{fill:#b3261e;fill-opacity:.2}.dot.bad{fill:#b3261e}"
    ".dot.good{fill:#2e7d4f}.dot.calm{fill:#889}.tick.good{stroke:#2e7d4f;stroke-width:1}"
    ".tick.bad{stroke:#b3261e;stroke-width:1.2}text.in{fill:#fff}text.name{fill:#223}text.small{font-size:6px}"
    "text.bad{fill:#b3261e}</style>"
)
"""In each picture: a layout program does not look for its rules in the page around it."""


class Picture:
    """A drawing of a fixed size, in units of which the page makes what it likes. Origin: above left."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._parts = list[Markup]()

    def line(self, begin: Point, end: Point, css: str) -> None:
        """A straight line."""
        self._add('<path class="{}" d="M{} {}L{} {}"/>', css, *map(number, (*begin, *end)))

    def path(self, points: Sequence[Point], css: str, *, closed: bool = False) -> None:
        """A line through points, or with ``closed`` an area."""
        if len(points) > 1:
            drawn = "L".join(f"{number(x)} {number(y)}" for x, y in points)
            self._add('<path class="{}" d="M{}{}"/>', css, drawn, "Z" if closed else "")

    def box(self, left: float, top: float, width: float, height: float, css: str) -> None:
        """A rectangle."""
        self._add(
            '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', css, *map(number, (left, top, width, height))
        )

    def dot(self, at: Point, css: str, radius: float = 2.2) -> None:
        """A filled circle."""
        self._add('<circle class="{}" cx="{}" cy="{}" r="{}"/>', css, *map(number, (*at, radius)))

    def text(self, at: Point, words: str, css: str = "", *, anchor: str = "start") -> None:
        """A text that begins, is centred or ends (``anchor``: start, middle, end) at a point."""
        self._add(
            '<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>', css, number(at[0]), number(at[1]), anchor,
            words,
        )  # fmt: skip

    def _add(self, form: str, *values: str) -> None:
        self._parts.append(Markup(form).format(*(escape(printable(value)) for value in values)))  # noqa: S704  # a constant of this module

    def drawn(self) -> Markup:
        """The SVG element."""
        head = Markup('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img"><title>{}</title>')
        return (
            head.format(number(self.width), number(self.height), printable(self.title[:200]))
            + STYLE
            + _join(self._parts)
            + Markup("</svg>")
        )


def text_width(words: str, size: float = 7.5) -> float:
    """About how wide a text is: Chinese characters are as wide as high, others a bit over the half. Never less than it
    is in the fonts of the pages."""
    return sum(size if ord(one) >= 0x2E80 else size * 0.62 for one in words)


def fitted(words: str, room: float, size: float = 7.5) -> str:
    """A text as it is shown, that takes no more room than this; cut with an ellipsis."""
    words = printable(words[: int(room)])  # no character is narrower than one unit
    left = room - text_width("…", size)
    for at, one in enumerate(words):
        left -= text_width(one, size)
        if left < 0:
            return words if text_width(words, size) <= room else words[:at] + "…"
    return words


def number(value: float) -> str:
    """A coordinate: at most one digit after the point, no minus before a zero."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _join(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)
