"""A new repository under a new master key: every snapshot is there, the old keys open nothing of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from tests.kitting import COMMAND, Kit, said, vaultd
from tests.mounting import mounted, needs_mounts
from tests.site import site_in, until


def test_a_leaked_kit_ends_with_a_new_repository(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.add_target()
        vault = site.add_vault()
        (vault / "file").write_text("one")
        config = site.prepare()
        site.backup(full=True)
        kit = Kit(site, tmp_path / "sheets", "--batch", code=3)
        old = (site.servers["offsite"].root / "repo" / "config").read_bytes()
        with_daemon = site.file.read_text()
        site.start()
        vaultd("kit", "migrate", "offsite", config=site.file, code=1)  # the daemon must not run
        assert site.file.read_text() == with_daemon
        site.wait_protected()
        before = {one["tree"] for one in site.snapshots()}
        site.stop()
        command = [*COMMAND, "--config", site.file, "kit", "migrate", "offsite"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            until((site.servers["offsite"].root / "repo-2" / "config").exists, "the new repository is there")
            process.kill()
        assert site.file.read_text() == with_daemon  # nothing was switched
        told = json.loads(vaultd("--json", "kit", "migrate", "offsite", config=site.file))
        assert (told["path"], told["old_path"]) == ("repo-2", "repo")
        assert {one["tree"] for one in site.snapshots()} == before  # read by restic, from what the file now names
        assert len(told["repository"]) == 64 and told["repository"] != told["old"]
        # The old one is as it was; its password opens nothing of the new one.
        assert (site.servers["offsite"].root / "repo" / "config").read_bytes() == old
        words = Path(told["password_file"]).read_text()
        assert words != config.target[0].password_file.read_text()
        keys = site.servers["offsite"].root / "repo-2" / "keys"
        assert len(list(keys.iterdir())) == 1
        assert not (keys / kit.told["targets"][0]["key"]).exists()
        # The ledger knows the copies: they have the change sets of what they are copies of.
        drilled = json.loads(vaultd("--json", "drill", "restore", "records", "--without-kit", config=site.file))
        assert (drilled["state"], drilled["files"]) == ("done", 1)
        # And the host goes on there: it misses nothing, and what was there needs no new full snapshot.
        fulls = len(site.snapshots(kind="full"))
        (vault / "file").write_text("two")
        site.start()
        site.wait_protected()
        site.assert_restorable()
        until(lambda: site.entries("repository-moved"), "it is on record")
        site.stop()
        assert not [one for one in site.entries("alert") if one["code"] == "snapshots-missing"]
        assert len(site.snapshots(kind="full")) == fulls + 1
        verified = json.loads(vaultd("--json", "verify", "records", config=site.file))["verifications"][0]
        assert (verified["count"], verified["counts"]["ok"]) == (0, 1)
        vaultd("kit", "migrate", "offsite", "--path", "repo-2", config=site.file, code=2)


@needs_mounts
def test_where_there_is_no_room_for_the_copy_it_says_so_before_it_begins(tmp_path: Path) -> None:
    root = tmp_path / "offsite"
    root.mkdir()
    with mounted(root, "-t", "tmpfs", "-o", "size=6m", "tmpfs"), site_in(tmp_path) as site:
        site.add_target()
        vault = site.add_vault()
        (vault / "file").write_bytes(os.urandom(4_000_000))
        site.prepare()
        site.backup(full=True)
        before, keys = site.file.read_text(), sorted(site.folder.glob("*password*"))
        vaultd("kit", "migrate", "offsite", config=site.file, code=1)
        found = re.search(r"needs ([0-9.]+ \w+), and repo-2 has ([0-9.]+ \w+) free", said())
        assert found is not None, said()
        needed, free = found.groups()
        assert needed.startswith(("3.", "4.")) and free.startswith(("1.", "2.")), said()
        assert not (root / "repo-2").exists() and site.file.read_text() == before
        assert sorted(site.folder.glob("*password*")) == keys
        subprocess.run(["mount", "-o", "remount,size=64m", str(root)], check=True)
        vaultd("kit", "migrate", "offsite", config=site.file)
        site.close()  # before the file system goes
