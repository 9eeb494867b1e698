"""One custodian's sheet, as PDF: the share, where the data is, the steps, and the kit's file in codes."""

from __future__ import annotations

from collections.abc import Sequence

from vaultd.kit import codes, place, spelling, words
from vaultd.kit.content import Content, KitTarget
from vaultd.kit.seal import Sealed
from vaultd.kit.shares import Share
from vaultd.paper.both import Both
from vaultd.paper.codes import picture
from vaultd.paper.page import MARGIN, MONO, WIDTH, Paper
from vaultd.sftp import HostKey

_SIDE = 62.0


def draw(content: Content, sealed: Sealed, share: Share) -> bytes:
    """The sheet. Raises KitError when a font is missing."""
    values: dict[str, object] = {
        "kit": content.kit, "host": content.host, "number": share.number, "total": share.total,
        "threshold": share.threshold, "page": "{page}",
    }  # fmt: skip
    foot = words.FOOT.format(**values)
    paper = Paper((foot.en, foot.zh))
    paper.pdf.set_title(f"vaultd recovery kit {content.kit}, share {share.number} of {share.total}")
    _first(paper, content, share, values)
    _places(paper, content)
    _steps(paper, content, values)
    _codes(paper, sealed, values)
    return paper.encoded()


def _first(paper: Paper, content: Content, share: Share, values: dict[str, object]) -> None:
    paper.page()
    paper.title(words.TITLE, 22)
    paper.title(words.SHARE_OF.format(**values), 15)
    paper.text(words.WHAT.format(**values))
    paper.boxed(words.KEEP)
    expires = content.expires.isoformat() if content.expires else f"{words.NO_EXPIRY.en}  {words.NO_EXPIRY.zh}"
    facts = (content.organisation, content.host, content.kit, content.created, expires, "\n\n")
    paper.facts(list(zip(words.FACTS, facts, strict=True)))
    paper.text(words.THE_SHARE, 10)
    top = paper.pdf.get_y() + 1
    paper.picture(picture(spelling.text(share)), MARGIN + WIDTH - _SIDE, top, _SIDE)
    paper.pdf.set_font(MONO, size=13)
    for number, row in enumerate(spelling.rows(share), 1):
        paper.pdf.set_xy(MARGIN, top + 3 + (number - 1) * 9.5)
        paper.pdf.cell(10, 8, f"{number}.")
        paper.pdf.cell(98, 8, row)


def _places(paper: Paper, content: Content) -> None:
    paper.page()
    paper.title(words.WHERE, 15)
    for target in content.targets:
        paper.title(words.TARGET_HEAD.format(name=target.name), 11)
        paper.facts(list(zip(words.TARGET, _facts_of(content, target), strict=True)), mono=True, size=8.5)
    if content.ledger is not None:
        paper.title(words.LEDGER, 11)
        ledger = content.ledger
        paper.facts([(words.ORIGIN, ledger.origin), (words.ROOT_KEY, ledger.root_key)], mono=True, size=8.5)


def _facts_of(content: Content, target: KitTarget) -> Sequence[str]:
    prints = "\n".join(f"{kind} {HostKey(kind, key).fingerprint}" for kind, key in _split(target))
    vaults = ", ".join(one.name for one in content.vaults if target.name in one.targets)
    folder = place.file_of(target.path, content.kit)
    return (
        f"{target.host}, port {target.port}", target.user, target.path, target.repository, prints, target.key,
        folder, vaults,
    )  # fmt: skip


def _split(target: KitTarget) -> list[tuple[str, str]]:
    return [(kind, key) for kind, _blank, key in (line.partition(" ") for line in target.host_keys)]


def _steps(paper: Paper, content: Content, values: dict[str, object]) -> None:
    paper.page()
    paper.title(words.WITH_VAULTD, 15)
    for number, step in enumerate(words.STEPS, 1):
        both = step.format(**values)
        paper.text(Both(f"{number}. {both.en}", both.zh), 9.5)
    paper.lines([line.format(**values) for line in words.COMMANDS])
    paper.title(words.WITHOUT, 13)
    for number, (step, lines) in enumerate(zip(words.BARE, words.BARE_COMMANDS, strict=True), 1):
        both = step.format(**values)
        paper.text(Both(f"{number}. {both.en}", both.zh), 9)
        paper.lines([line.format(**values) for line in lines], 7.5)
    paper.text(words.BARE_NOTE, 9)


def _codes(paper: Paper, sealed: Sealed, values: dict[str, object]) -> None:
    texts = codes.parts(sealed)
    side, gap = 84.0, 6.0
    for at in range(0, len(texts), 4):
        paper.page()
        paper.text(words.CODES.format(**values, count=len(texts)), 10)
        top = paper.pdf.get_y() + 2
        for place_, text in enumerate(texts[at : at + 4]):
            x, y = MARGIN + (place_ % 2) * (side + gap), top + (place_ // 2) * (side + 12)
            paper.picture(picture(text, 4), x, y, side)
            paper.pdf.set_font(MONO, size=9)
            paper.pdf.set_xy(x, y + side)
            paper.pdf.cell(side, 5, f"{at + place_ + 1} / {len(texts)}", align="C")
