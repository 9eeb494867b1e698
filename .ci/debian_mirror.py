"""Print where this machine gets Debian itself from: one "URI<TAB>keyring" line a candidate, the best first.

Reads apt's own configuration in both of its formats (deb822 *.sources, classic *.list) and leaves out what is
switched off, what is not a `deb` line, security and update archives, and third parties. Used by fetch-restic;
nothing here trusts a mirror: apt checks what comes from it against the keyring.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEBIAN_KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/etc/apt/trusted.gpg.d/debian-archive-keyring.gpg",
)
SUITES = {
    "stable",
    "oldstable",
    "oldoldstable",
    "testing",
    "unstable",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
}


@dataclass(frozen=True)
class Source:
    """One configured archive, whichever format it was written in."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str


def deb822(text: str) -> Iterator[Source]:
    """The archives of a *.sources file."""
    text = re.sub(r"(?m)^#.*\n?", "", text)
    for stanza in re.split(r"\n[ \t]*\n", text):
        joined = re.sub(r"\n[ \t]+", " ", stanza)
        pairs = (line.split(":", 1) for line in joined.splitlines() if ":" in line)
        fields = {name.strip().lower(): value.strip() for name, value in pairs}
        off = fields.get("enabled", "yes").lower() in {"no", "false", "0", "off", "without", "disable"}
        if off or "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite, tuple(fields.get("components", "").split()), fields.get("signed-by", ""))


def classic(text: str) -> Iterator[Source]:
    """The archives of a sources.list file."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match:
            options = dict(word.split("=", 1) for word in (match[1] or "").split() if "=" in word)
            yield Source(match[2], match[3], tuple(match[4].split()), options.get("signed-by", ""))


def configured(etc: Path) -> Iterator[Source]:
    """All archives that apt is told of under ``etc``, in apt's order."""
    main = etc / "sources.list"
    if main.is_file():
        yield from classic(main.read_text(errors="replace"))
    for path in sorted((etc / "sources.list.d").glob("*")):
        if path.suffix == ".list":
            yield from classic(path.read_text(errors="replace"))
        elif path.suffix == ".sources":
            yield from deb822(path.read_text(errors="replace"))


def candidates(sources: Iterator[Source], keyrings: tuple[str, ...] = DEBIAN_KEYRINGS) -> list[tuple[str, str]]:
    """Debian's own archives among ``sources``, with the keyring to check each with; those that name it first."""
    default = next((name for name in keyrings if Path(name).is_file()), "")
    by_key, by_name = [], []
    for source in sources:
        if source.suite not in SUITES or "main" not in source.components:
            continue
        if not re.match(r"(https?|file|copy|mirror(\+\w+)?):", source.uri):
            continue  # a CD-ROM has one release only; tor and the like need more than apt
        named = source.signed_by if source.signed_by.startswith("/") and Path(source.signed_by).is_file() else ""
        keyring = named or default
        row = (source.uri.rstrip("/") + "/", keyring)
        if not keyring:
            continue
        if "debian-archive-" in source.signed_by:
            by_key.append(row)
        elif source.uri.rstrip("/").endswith("/debian"):
            by_name.append(row)
    return list(dict.fromkeys(by_key + by_name))


if __name__ == "__main__":
    for row in candidates(configured(Path(sys.argv[1] if len(sys.argv) > 1 else "/etc/apt"))):
        print(*row, sep="\t")
