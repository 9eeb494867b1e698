"""A map as a picture: the folder on the left, the disks on the right, as SVG or PNG. No clock and no ids: the same map
gives the same file.

The PNG is drawn by Pillow, which comes with fpdf2, in the font of the labels; without that font Chinese characters of
names would be empty boxes, so it is then refused.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from vaultd.cli.format import width
from vaultd.cli.render_disks import KINDS, NOTES, name
from vaultd.disks.copies import layers
from vaultd.disks.machine import clean
from vaultd.disks.model import Disk, DiskMap, Inventory, Kind, Layer
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.names import display

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

WIDTH, HEIGHT, GAP, STEP, MARGIN = 190, 56, 56, 14, 16
"""Of a box, between columns, between boxes, around all: in pixels."""

FILL = {
    Kind.DISK: "#dcebfa", Kind.CRYPT: "#dff3e4", Kind.UNKNOWN: "#fbe3e1", Kind.REMOTE: "#fbe3e1",
    Kind.MEMORY: "#fbe3e1", Kind.FOLDER: "#fff5d6",
}  # fmt: skip

FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")


@dataclass(frozen=True, slots=True)
class _Box:
    left: int
    top: int
    lines: tuple[str, ...]
    fill: str
    layer: Layer


def write(found: Inventory, shown: DiskMap, *, svg: Path | None, png: Path | None) -> None:
    """Write the files. Raises VaultdError when one cannot be written."""
    boxes, wide, high = _arranged(found, shown)
    for path, make in ((svg, _svg), (png, _png)):
        if path is None:
            continue
        try:
            path.write_bytes(make(boxes, wide, high))
        except OSError as error:
            raise VaultdError(_("picture {file}").format(file=display(path)), error.strerror or str(error)) from None


def _arranged(found: Inventory, shown: DiskMap) -> tuple[list[_Box], int, int]:
    """A column for each depth; a layer stands to the right of all that lie on it, disks in the last column."""
    depth, order = dict[int, int](), list(layers(shown.top))
    waiting = [(shown.top, 0)]
    while waiting:
        layer, at = waiting.pop()
        if depth.get(id(layer), -1) < at:
            depth[id(layer)] = at
            waiting.extend((one, at + 1) for one in layer.below)
    last = max(depth.values())
    columns = defaultdict[int, list[Layer]](list)
    for layer in order:
        columns[last if layer.kind is Kind.DISK else depth[id(layer)]].append(layer)
    rows = max(len(column) for column in columns.values())
    high = 2 * MARGIN + rows * (HEIGHT + STEP) - STEP
    disks = {disk.key: disk for disk in found.disks}
    boxes = []
    for number, column in sorted(columns.items()):
        room = len(column) * (HEIGHT + STEP) - STEP
        for row, layer in enumerate(column):
            top = (high - room) // 2 + row * (HEIGHT + STEP)
            left, fill = MARGIN + number * (WIDTH + GAP), FILL.get(layer.kind, "#f4f5f7")
            boxes.append(_Box(left, top, _lines(layer, disks), fill, layer))
    return boxes, 2 * MARGIN + (last + 1) * (WIDTH + GAP) - GAP, high


def _lines(layer: Layer, disks: dict[str, Disk]) -> tuple[str, ...]:
    disk = disks.get(layer.disk) if layer.disk else None
    if disk is not None:
        bay = f"[{disk.bay.text}]" if disk.bay else ""
        lines = [f"{name(disk)} {bay}".strip(), clean(f"{disk.vendor} {disk.model}"), clean(disk.serial)]
    else:
        detail = f" ({layer.detail})" if layer.detail and layer.kind is not Kind.MULTIPATH else ""
        notes = ", ".join(_(NOTES.get(one, one)) for one in layer.notes)
        notes = ", ".join(_(NOTES.get(one, one)) for one in layer.notes)
        lines = [_(KINDS[layer.kind]) + detail, clean(layer.name), notes]
    return tuple(_short(line) for line in lines if line)


def _short(text: str, room: int = 27) -> str:
    if width(text) <= room:
        return text
    while width(text) >= room:
        text = text[:-1]
    return text + "…"


def _lined(boxes: list[_Box]) -> list[tuple[int, int, int, int]]:
    places = {id(box.layer): box for box in boxes}
    return [
        (box.left + WIDTH, box.top + HEIGHT // 2, places[id(one)].left, places[id(one)].top + HEIGHT // 2)
        for box in boxes
        for one in box.layer.below
    ]


def _svg(boxes: list[_Box], wide: int, high: int) -> bytes:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">',
        "<style>text{font:13px sans-serif;fill:#223}.l{stroke:#778;fill:none}.b{stroke:#556}</style>",
        f'<rect width="{wide}" height="{high}" fill="#fff"/>',
    ]
    for left, top, right, bottom in _lined(boxes):
        middle = (left + right) // 2
        parts.append(f'<path class="l" d="M{left} {top}C{middle} {top} {middle} {bottom} {right} {bottom}"/>')
    for box in boxes:
        parts.append(f'<rect class="b" x="{box.left}" y="{box.top}" width="{WIDTH}" height="{HEIGHT}" rx="4" '
                     f'fill="{box.fill}"/>')  # fmt: skip
        for number, line in enumerate(box.lines):
            parts.append(f'<text x="{box.left + 8}" y="{box.top + 17 + 16 * number}">{escape(line)}</text>')
    return ("\n".join([*parts, "</svg>"]) + "\n").encode("utf-8", "replace")


def _png(boxes: list[_Box], wide: int, high: int) -> bytes:
    import io

    from PIL import Image, ImageDraw

    font = _font()
    image = Image.new("RGB", (wide, high), "#ffffff")
    draw = ImageDraw.Draw(image)
    for line in _lined(boxes):
        draw.line(line, fill="#777788")
    for box in boxes:
        corners = (box.left, box.top, box.left + WIDTH, box.top + HEIGHT)
        draw.rounded_rectangle(corners, 4, fill=box.fill, outline="#555566")
        for number, text in enumerate(box.lines):
            draw.text((box.left + 8, box.top + 4 + 16 * number), text, fill="#222233", font=font)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _font() -> FreeTypeFont:
    from PIL import ImageFont

    try:
        return ImageFont.truetype(str(FONT), 13)
    except OSError:
        raise VaultdError(
            _("picture as PNG"), _("the font {file} is missing").format(file=FONT),
            _("install fonts-wqy-microhei, or write SVG with --svg"),
        ) from None  # fmt: skip
