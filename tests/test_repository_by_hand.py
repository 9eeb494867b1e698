"""The commands of docs/repository.md, as they stand there, restore a vault with restic, ssh and a shell alone."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.restoring import Stored, hard_to_restore, write
from vaultd.demo.offsite import OffsiteServer
from vaultd.restore.compare import compare

DOCUMENT = Path(__file__).parent.parent / "docs" / "repository.md"


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("express", [False, True], ids=["full", "latest"])
def test_the_documented_commands_bring_everything_back(tmp_path: Path, express: bool) -> None:
    stored = Stored(tmp_path / "s", tmp_path / "srv" / "the records")
    hard_to_restore(stored.root)
    stored.full()
    stored.dump("records", "select 1")
    if express:
        for content in ("newer", "newest"):
            write(stored.root / "plain two.txt", content)
            write(stored.root / "links" / "new" / "file", content)
            stored.express("plain two.txt", "links/new/file")
    to = tmp_path / "restored here"
    with OffsiteServer(tmp_path / "offsite") as server:
        shutil.copytree(stored.path, server.root / "archive")
        values = {
            "SERVER": server.host, "PORT": server.port, "ACCOUNT": server.user, "FOLDER": "archive",
            "HOST_KEY": " ".join(server.known_hosts_line().split()[1:]), "KEY": server.identity,
            "PASSWORD": stored.repository.password_file, "VAULT": "patients", "TO": to,
        }  # fmt: skip
        settings, *commands = blocks()
        assert re.findall(r"^([A-Z_]+)=", settings, re.MULTILINE) and set(
            re.findall(r"^([A-Z_]+)=", settings, re.MULTILINE)
        ) == set(values)
        script = "\n".join([*(f"{name}={shlex.quote(str(value))}" for name, value in values.items()), *commands])
        done = subprocess.run(
            ["sh", "-u"], input=script, capture_output=True, text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "LANG": "C.UTF-8"},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert compare(stored.root, to / "the records") == []
    assert [path.read_text() for path in to.glob("dump-*/*")] == ["select 1"]
    assert sorted(path.name for path in to.iterdir() if not path.name.startswith("dump-")) == ["the records"]
