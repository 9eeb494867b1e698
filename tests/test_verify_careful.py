"""One file that is read by itself, and a line that breaks meanwhile: tried again, and no damage until it breaks at the
same place each time while the target answers."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.restoring import HOST, VAULT, write
from tests.test_verify_verdicts import Case
from vaultd.verify import careful, plan
from vaultd.verify.result import Asked, Kind, Result, Verdict
from vaultd.verify.run import Verification


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(plan, "START_SECONDS", 1e-6)  # one of a few is read by itself then
    made = Case(tmp_path)
    for number in range(12):
        write(made.root / f"old {number}", os.urandom(40_000), mtime=1000)
    write(made.root / "new", "the one that is wanted", mtime=10**18)
    made.full(*[made.version(path.name) for path in sorted(made.root.iterdir())])
    return made


def breaking(case: Case, times: int) -> Result:
    """Verify what is new, with a restic whose line breaks so often when it dumps."""
    gate, seen = case.folder / "restic", case.folder / "seen"
    gate.write_text(
        "#!/bin/sh\n"
        'for word in "$@"; do\n'
        f'  if [ "$word" = dump ] && echo x >> {seen} && [ "$(wc -l < {seen})" -le {times} ]; then\n'
        '    echo "Fatal: connection reset by peer" >&2; exit 1\n'
        "  fi\n"
        "done\n"
        f'exec {shutil.which("restic")} "$@"\n'
    )
    gate.chmod(0o755)
    work = case.folder / "work"
    work.mkdir()
    repository = replace(case.stored.repository, binary=str(gate))
    asked = Asked(Kind.CHANGED, since=10**17)
    one = Verification(repository, VAULT, "offsite", case.log.folder, HOST, work, asked)
    result = asyncio.run(one.run())
    assert seen.exists()
    return result


def test_a_line_that_breaks_is_tried_again(case: Case) -> None:
    result = breaking(case, careful.TRIES - 1)
    assert (result.state, result.exit_code, dict(result.counts)) == ("done", 0, {Verdict.OK: 1})


def test_what_breaks_at_the_same_place_each_time_is_damage(case: Case) -> None:
    result = breaking(case, 100)
    assert [(one.path, one.verdict) for one in result.differences] == [(b"new", Verdict.DAMAGED)]
