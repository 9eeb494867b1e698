"""`vaultd verify` as its users meet it: interrupted, dropped, gone on with, wrongly asked, and without the host."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import warm
from tests.faulting import fill
from tests.site import until
from tests.verifying import VerifySite, damaged, overwrite, verify_site
from vaultd.ledger.verify import verify as verify_ledger


@pytest.fixture
def site(tmp_path: Path) -> Iterator[VerifySite]:
    with verify_site(tmp_path) as made:
        yield made


def protected(site: VerifySite, files: int = 6, size: int = 700) -> Path:
    vault = site.ready()
    fill(vault, files, size)
    assert {one.error for one in site.backup(full=True)} == {None}
    return vault


def verified(site: VerifySite) -> int:
    with contextlib.closing(site.store()) as store:
        return len(list(store.verified_since(store.target_id("offsite"), store.vault_id("records"), 0)))


def slowed(site: VerifySite) -> Callable[[], None]:
    """Have restic fetch 4 MB a second, as over a line: what is verified is noted every two seconds. Call what this
    returns to have it at full speed again."""
    wrapper = site.folder / "restic-by-line"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("restic")} --limit-download 4000 "$@"\n')
    wrapper.chmod(0o755)
    site.host["restic"] = str(wrapper)
    site.write()

    def again() -> None:
        del site.host["restic"]
        site.write()

    return again


def begin(site: VerifySite, *args: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "vaultd", "--config", str(site.file), "--json", "verify", *args]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("how", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.soak), "SIGKILL", "drop"])
def test_a_run_that_is_broken_off_is_gone_on_with(site: VerifySite, how: str) -> None:
    protected(site, 24, 1_500_000)
    server = site.servers["offsite"]
    at_full_speed = slowed(site)
    process = begin(site)
    try:
        # Between two looks it may come to its end; the server hangs as soon as something is on record.
        until(lambda: verified(site) or process.poll() is not None, "something is verified")
        server.freeze(listener=True)
        if how == "drop":
            server.stop()
        else:
            process.send_signal(signal.Signals[how])
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        server.thaw()
    if how == "drop":
        server.start()
    at_full_speed()
    before = verified(site)
    assert 0 < before < 24, "it was over before it could be interrupted"
    expected = {"SIGINT": 130, "SIGTERM": 143, "SIGKILL": -9, "drop": 5}[how]
    assert process.returncode == expected, errors
    if how == "drop":
        assert json.loads(output)["verifications"][0]["error"]["code"] == "unreachable"
    until(lambda: site.leftovers() == [] == site.restic_processes(), "nothing is left of it")
    found = site.verify_all("records")[0]
    assert (found["state"], found["before"]) == ("done", before)
    assert before <= 24 - found["counts"]["ok"] + found["before"]
    assert found["counts"]["ok"] + found["before"] >= 24 and verified(site) == 24
    assert not list((site.state / "verify").iterdir())
    again = site.verify_all("records")[0]
    assert (again["before"], again["counts"]["ok"]) == (0, 24)


def test_what_was_found_is_on_record(site: VerifySite) -> None:
    vault = protected(site)
    found = site.verify_all("--sample", "50%", "--seed", "7")[0]
    assert (found["kind"], found["seed"], found["share"]) == ("sample", 7, 0.5)
    site.verify_all("records", "--changed-since", "2020-01-01", "--target", "offsite")
    (pack,) = site.packs()
    pack.file.unlink()
    assert site.cli("verify", "records").code == 4
    assert site.alerts() >= {"verify-difference"}
    (vault / "more").write_text("more")
    site.backup(full=True)  # what a command leaves goes on record when somebody writes there
    verify_ledger(site.state / "ledger")  # their fields are those that the verifier knows
    sample, changed, full = site.entries("verification")
    assert (sample["kind"], sample["seed"], sample["counts"], sample["state"]) == ("sample", 7, {"ok": 6}, "done")
    assert changed["kind"] == "changed" and changed["since_ns"].isdigit() and "seed" not in changed
    assert (full["counts"], full["differences"], len(full["paths"])) == ({"damaged": 6}, 6, 6)
    assert full["who"].startswith("uid ") and full["snapshots"] == [site.snapshots(kind="full")[0]["id"]]


def test_people_read_what_differs_and_what_is_whole(site: VerifySite) -> None:
    protected(site, 2)
    said = human(site)
    assert "records → offsite: all files as of" in said and "as on record" in said
    (pack,) = site.packs()
    pack.file.unlink()
    said = human(site, code=4)
    assert "NOT as on record" in said and "folder 0/file 0: damaged (" in said
    assert "no other version is known to be whole" in said
    status = warm.run(["--config", str(site.file), "status"]).stdout.decode()
    assert "2 differences" in status and "read back within 30 d" in status


def human(site: VerifySite, code: int = 0) -> str:
    done = warm.run(["--config", str(site.file), "verify", "records"])
    assert done.returncode == code, done.stderr
    return done.stdout.decode()


@pytest.mark.parametrize(
    "args",
    [
        ("--full", "--sample", "5%"), ("--sample", "0"), ("--sample", "101%"), ("--sample", "some"), ("--seed", "3"),
        ("--changed-since", "yesterday"), ("nobody",), ("--target", "nowhere"), ("--repository", "sftp:a@b:c"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(site: VerifySite, args: tuple[str, ...]) -> None:
    site.ready()
    answer = site.cli("verify", *args)
    assert (answer.code, answer.json["error"]["exit_code"]) == (2, 2)
    assert not (site.state / "state.db").exists()


def test_on_another_machine_the_repository_and_a_copy_of_the_ledger_are_enough(site: VerifySite) -> None:
    protected(site)
    server, copy = site.servers["offsite"], site.folder / "copy of the ledger"
    shutil.copytree(site.state / "ledger", copy)
    key = server.host_key.with_name("host_key.pub").read_text().split()
    command = [
        sys.executable, "-m", "vaultd", "--json", "verify", "records", "--ledger", str(copy), "--repository",
        f"sftp://{server.user}@{server.host}:{server.port}/repo", "--host-key", " ".join(key[:2]),
        "--identity", str(server.identity), "--password-file", str(site.targets["offsite"]["password_file"]),
    ]  # fmt: skip
    environment = {**os.environ, "VAULTD_CONFIG": str(site.folder / "none"), "TMPDIR": str(site.folder)}
    before = sorted(path.name for path in site.folder.iterdir())
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout
    (found,) = json.loads(done.stdout)["verifications"]
    assert (found["target"], found["counts"]["ok"]) == ("offsite", 6)
    assert sorted(path.name for path in site.folder.iterdir()) == before
    without = [word for word in command if word not in ("--ledger", str(copy))]
    assert subprocess.run(without, capture_output=True, env=environment, check=False).returncode == 2


def test_many_small_files_are_read_pack_by_pack_and_a_flipped_bit_is_found(site: VerifySite) -> None:
    vault = site.ready()
    for number in range(1200):
        folder = vault / f"folder {number % 12}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}").write_bytes(b"%d " % number * 40)
    assert {one.error for one in site.backup(full=True)} == {None}
    reads = site.servers["offsite"].connections_seen()
    found = site.verify("records")
    assert (found["counts"]["ok"], found["count"]) == (1200, 0)
    # The list, the master key, our own session: restic's dump was not needed.
    assert site.servers["offsite"].connections_seen() - reads == 3
    pack = site.packs()[0]
    blob, offset, length = pack.blobs[7]
    overwrite(pack.file, offset + length // 2, b"\x04")
    found = site.verify("records", code=4)
    assert damaged(found) == site.files_of({blob}) and found["counts"]["ok"] == 1199
