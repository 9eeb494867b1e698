"""Imports only point down (design, section 3): read from the code itself, type-only and late imports included."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vaultd"

LAYERS = (
    # L0: no knowledge of anything; the later ones use the words of the first.
    {"errors", "model", "files", "names", "i18n", "memory", "priority"},
    {"units", "manifest"},
    {"alerts"},
    # L1: one thing each; all of them may read the configuration's types.
    {"config"},
    {"store", "restic", "ssh", "sftp", "hashing", "keys", "dumping", "ledger", "paper", "notices"},
    {"reach"},  # the files of a target: over SFTP, or on a medium
    {"watch"},  # the reconcile scan writes to the store: the agreed exception
    {"fetch", "disks"},  # a repository's own files, from a target; mountinfo as watch reads it
    # L2: policy.
    {"places", "targets", "anchor"},
    {"custody"},
    {"notices"},  # what became of them goes on record
    {"approvals"},  # persons, their keys, and what they sign
    {"protect", "restore"},
    {"kit", "media"},
    {"warning"},  # and playbooks
    {"affairs"},  # what the status says of all these
    {"doctor", "bag", "report", "status"},
    {"drill", "verify", "pull"},
    {"evacuate"},
    {"retain"},  # what stays is verified
    {"repair"},
    # L3
    {"control"},
    # L4: the daemon is the composition root, the command line uses everything.
    {"daemon", "demo"},
    {"cli"},
    {"__main__"},
)
"""From bottom to top. A module imports from layers below its own, and from its own package."""

DUNDERS = frozenset({"__init__", "__version__"})
"""What ``vaultd`` itself holds: it imports nothing, and all may import it."""

RANK = {name: number for number, names in enumerate(LAYERS) for name in names}


def imports(tree: ast.AST, module: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything of vaultd that a module imports; relative imports are resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: -node.level]
                base = ".".join([*parents, base] if base else parents)
            if base == "vaultd":
                for alias in node.names:
                    yield node.lineno, f"vaultd.{alias.name}"
            else:
                yield node.lineno, base


def part(name: str) -> str | None:
    """The module or package directly below vaultd, None for what is not of vaultd (or is vaultd itself)."""
    words = name.split(".")
    return words[1] if words[0] == "vaultd" and len(words) > 1 and words[1] not in DUNDERS else None


def wrong(source: str, module: str) -> list[str]:
    """The imports of a module that do not point down."""
    own, found = part(module), []
    for line, name in imports(ast.parse(source), module):
        used = part(name)
        if used is None or used == own:
            continue
        if own is None or RANK[used] >= RANK[own]:
            found.append(f"{module}:{line} imports vaultd.{used}")
    return found


def modules() -> list[tuple[str, Path]]:
    """Every module of vaultd, with its full name."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(["vaultd", *path.relative_to(PACKAGE).with_suffix("").parts])
        found.append((name, path))
    return found


def test_every_module_has_a_layer() -> None:
    missing = sorted({own for name, _path in modules() if (own := part(name)) and own not in RANK})
    assert missing == [], "put them into LAYERS, and into docs/ if the design changes"


@pytest.mark.parametrize(("name", "path"), modules(), ids=[name for name, _path in modules()])
def test_imports_point_down(name: str, path: Path) -> None:
    assert wrong(path.read_text("utf-8"), name) == []


@pytest.mark.parametrize(
    ("module", "source", "fails"),
    [
        ("vaultd.store.store", "from vaultd import cli", True),
        ("vaultd.store.store", "import vaultd.control.server", True),
        ("vaultd.store.store", "def f():\n    from vaultd.protect.worker import Worker", True),
        ("vaultd.store.store", "if TYPE_CHECKING:\n    from vaultd.daemon import main", True),
        ("vaultd.store.store", "from ..control import server", True),
        ("vaultd.store.store", "from vaultd.restic import process", True),  # beside, not below
        ("vaultd.restic.process", "from vaultd.watch import scan", True),
        ("vaultd.errors", "from vaultd.i18n import _", True),
        ("vaultd.watch.scan", "from vaultd.store import Store", False),
        ("vaultd.store.store", "from vaultd.store import catalog\nfrom . import pending\nimport os", False),
        ("vaultd.cli.main", "from vaultd import daemon, errors", False),
    ],
)
def test_the_test_can_fail(module: str, source: str, fails: bool) -> None:
    assert bool(wrong(source, module)) is fails


def test_the_verifier_brings_nothing_of_the_daemon() -> None:
    """It runs where vaultd never ran: formats and texts, no database, no line, no configuration."""
    code = "import sys, vaultd.ledger.verify; print(*(one for one in sys.modules if one.startswith('vaultd')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    beside = {one for one in done.stdout.split() if not one.startswith("vaultd.ledger")}
    assert beside <= {"vaultd", "vaultd.files", "vaultd.i18n", "vaultd.names"}
    assert "vaultd.ledger.log" not in done.stdout.split()


def test_only_custody_writes_entries() -> None:
    """Whoever makes a ledger or changes its key (``create``) writes the entry of that; all else is custody's."""
    names_it = re.compile(r"vaultd\.ledger\.log\b|from vaultd\.ledger import [^\n]*\blog\b")
    writers = {name for name, path in modules() if names_it.search(path.read_text("utf-8"))}
    assert writers == {"vaultd.custody.writer", "vaultd.ledger.create"}
