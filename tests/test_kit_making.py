"""A kit that cannot be finished leaves no key behind; one that was cut off can be taken away."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.kitting import COMMAND, said, vaultd
from tests.site import Site, site_in, until
from vaultd.kit import passing
from vaultd.ledger import private


def kits(site: Site) -> list[dict[str, object]]:
    return list(json.loads(vaultd("--json", "kit", "list", config=site.file))["kits"])


def test_where_one_target_is_away_the_keys_of_the_others_are_removed_again(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        for name in ("east", "west"):
            site.add_target(name)
        site.add_vault()
        site.prepare()
        keys = site.servers["east"].root / "repo" / "keys"
        before = set(keys.iterdir())
        site.servers["west"].stop()
        out = tmp_path / "out"
        vaultd("kit", "create", "--batch", "--out", out, config=site.file, code=5)
        assert "east" in said()
        assert set(keys.iterdir()) == before
        assert [one["state"] for one in kits(site)] == ["revoked"]
        assert not out.exists()
        site.servers["west"].start()

        # Cut off by kill -9 after the first target has its key: nothing is lost track of.
        with subprocess.Popen(
            [*COMMAND, "--config", site.file, "kit", "create", "--batch", "--out", out], stderr=subprocess.DEVNULL
        ) as process:
            until(lambda: set(keys.iterdir()) > before, "the first target has a key")
            process.kill()
        mine = f"vaultd-kit-{process.pid}-*"
        assert list(passing.MEMORY.glob(mine)), "it was cut off while it had secrets in memory"
        with passing.in_memory() as folder:
            assert folder.stat().st_mode & 0o777 == 0o700
            assert not list(passing.MEMORY.glob(mine))
        made = kits(site)[-1]
        assert made["state"] == "unfinished"
        # restic may have been cut off with its lock on; who lifts that is a person. Then the same command goes on.
        vaultd("kit", "revoke", made["id"], config=site.file, code=None)
        until(lambda: not site.leftovers(), "what was cut off has ended")
        site.restic("unlock", target="east")
        vaultd("kit", "revoke", made["id"], config=site.file)
        until(lambda: set(keys.iterdir()) == before, "its key is gone")
        assert kits(site)[-1]["state"] == "revoked"


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is made by mounting a small one")
def test_a_folder_that_cannot_take_the_sheets_leaves_no_key(tmp_path: Path) -> None:
    from tests.mounting import mounted

    with site_in(tmp_path) as site:
        site.add_target()
        site.add_vault()
        site.prepare()
        keys = site.servers["offsite"].root / "repo" / "keys"
        before = set(keys.iterdir())
        small = tmp_path / "small"
        small.mkdir()
        words = private.as_words(private.generate("x/root"))
        for text in ("no key", words):  # mistyped; of another ledger
            (tmp_path / "root").write_text(text)
            vaultd("kit", "create", "--batch", "--out", tmp_path / "out", "--root-key-file", tmp_path / "root",
                   config=site.file, code=1)  # fmt: skip
            assert "root key" in said() and not (tmp_path / "out").exists()
        with mounted(small, "-t", "tmpfs", "-o", "size=100k", "tmpfs"):
            vaultd("kit", "create", "--batch", "--out", small, config=site.file, code=1)
            assert "No space left" in said()
        assert set(keys.iterdir()) == before
        assert [one["state"] for one in kits(site)] == ["revoked"]
