"""A medium as a target, on real loop devices with real restic: prepared, written to, restored from, with the keys of a
target; and what is refused before anything is changed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.carrying import (
    LABEL,
    attached,
    detached,
    needs_tools,
    plug_in,
    prepared,
    pull_out,
    register_in,
    target_in,
)
from tests.evacuating import ordered
from tests.mounting import mounted, needs_mounts
from tests.pulling import disk as disk_of
from tests.pulling import inventory, leaf, mapped
from tests.site import Site, site_in, until
from vaultd.cli.main import main
from vaultd.config import load
from vaultd.daemon import keeping
from vaultd.daemon.assembly import at_work, worker_at
from vaultd.daemon.watching import scan_vault
from vaultd.errors import ConfigError, TargetFullError, UnreachableError, VaultdError
from vaultd.evacuate import medium
from vaultd.evacuate.device import MediumError
from vaultd.evacuate.finishing import Finished, finish
from vaultd.evacuate.preparing import Ready, Wish, keep_keys, prepare
from vaultd.media.faults import NoMediumError
from vaultd.pull.noticed import noticed
from vaultd.restic import commands
from vaultd.store import Store
from vaultd.store.mediarows import Medium

pytestmark = [needs_mounts, needs_tools, pytest.mark.root]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as made:
        made.add_target()
        made.add_vault()
        made.prepare()
        yield made


@pytest.fixture
def disk(tmp_path: Path, site: Site) -> Iterator[Path]:
    with attached(tmp_path / "disk.img") as device:
        yield device


def copied(site: Site, label: str = LABEL) -> list[str]:
    """Scan, then copy everything that the medium is owed; the ids of the snapshots."""

    async def go() -> list[str]:
        config = load(site.file)
        async with at_work(config, lambda _progress: None) as assembly:
            store = assembly.store
            worker = worker_at(assembly.context, target_in(site, label), assembly.vaults.values())
            try:
                made = []
                for vault in medium.owe(store, worker.target, assembly.vaults.values()):
                    await scan_vault(assembly.context, vault, asyncio.Lock(), lambda: None)
                for number in worker.schedule.series:
                    made += await worker.fulfil(number, full=True, upto=store.seq())
                return [one.snapshot for one in made]
            finally:
                worker.close()

    return asyncio.run(go())


def restic(site: Site, *args: str, password: Path | None = None) -> str:
    """restic by hand, on the medium."""
    target = target_in(site)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(site.folder), "RESTIC_REPOSITORY": target.path,
        "RESTIC_PASSWORD_FILE": str(password or target.password_file), "RESTIC_CACHE_DIR": str(site.folder / "hand"),
    }  # fmt: skip
    return subprocess.run(["restic", *args], env=environment, check=True, capture_output=True, text=True).stdout


def test_a_medium_takes_snapshots_as_any_target(site: Site, disk: Path) -> None:
    (site.folder / "records/病历.txt").write_text("secret of a patient\n")
    site.backup()
    ready = prepared(site, disk)
    assert (ready.made, ready.formatted, ready.like) == (True, True, "offsite")
    made = copied(site)
    assert len(made) >= 1
    dumped = restic(site, "dump", made[-1], str(site.folder / "records/病历.txt"))
    assert dumped == "secret of a patient\n"
    assert [one["target"] for one in site.entries("snapshot")][-1] == LABEL
    again = copied(site)
    assert len(again) <= 1  # at most the exact one that was asked for: nothing is owed


def finished(site: Site, *, everything: bool = False) -> Finished:
    with register_in(site) as register:
        return asyncio.run(
            finish(register.config, register.store, LABEL, everything=everything, tell=lambda _text: None)
        )  # fmt: skip


def test_it_may_be_unplugged_when_everything_has_arrived(site: Site, disk: Path, tmp_path: Path) -> None:
    (site.folder / "records/a").write_bytes(os.urandom(300_000))
    site.backup()
    prepared(site, disk)
    made = copied(site)
    found = finished(site, everything=True)
    assert (found.snapshots, found.device) == (len(made), str(disk))
    assert found.packs > 0 and found.bytes > 300_000
    assert not os.path.ismount(target_in(site).mount)
    detached(disk, tmp_path / "disk.img")
    with attached(tmp_path / "disk.img") as again:  # what it holds is on the disk, not in anybody's memory
        ready = prepared(site, again, erase=False)
        assert (ready.made, ready.formatted, ready.like) == (False, False, "offsite")
        assert made[-1] in restic(site, "snapshots", "--json", "--no-lock")


def stored(folder: Path) -> int:
    """Bytes of the files below a folder, those that are being written too."""
    found = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # it has just got its name
            found += path.stat().st_size if path.is_file() else 0
    return found


def prepared_when_free(site: Site, disk: Path) -> Ready | None:
    """None while another test's process, which has a view of the mounts of its own, holds the disk."""
    try:
        return prepared(site, disk, erase=False)
    except MediumError as error:
        if "still holds" in error.why:
            return None
        raise


def test_pulled_out_in_mid_write_and_plugged_in_again(site: Site, disk: Path) -> None:
    """The error says so, the other target goes on, and what had arrived before is still there."""
    (site.folder / "records/first").write_text("before\n")
    site.backup()
    prepared(site, disk)
    (before,) = copied(site)
    (site.folder / "records/large").write_bytes(os.urandom(12 << 20))
    slow = replace(target_in(site), limit_upload=2048)
    data = Path(slow.path) / "data"

    def pull() -> None:
        while stored(data) < 2 << 20:
            time.sleep(0.02)
        pull_out(disk)

    async def go() -> tuple[BaseException, list[Any]]:
        config = load(site.file)
        async with at_work(config, lambda _progress: None) as assembly:
            store = assembly.store
            (vault,) = assembly.vaults.values()
            worker = worker_at(assembly.context, slow, [vault])
            both = medium.owe(store, worker.target, [vault])[0]
            lock = asyncio.Lock()
            await scan_vault(assembly.context, both, lock, lambda: None)
            try:
                failed, done, _pulled = await asyncio.gather(
                    worker.fulfil(vault.id, full=False, upto=store.seq()),
                    assembly.workers["offsite"].fulfil(vault.id, full=True, upto=store.seq()),
                    asyncio.to_thread(pull), return_exceptions=True,
                )  # fmt: skip
                assert isinstance(failed, BaseException)
                assert isinstance(done, list), done
                return failed, done
            finally:
                worker.close()

    failed, done = asyncio.run(go())
    assert isinstance(failed, UnreachableError) and LABEL in failed.what and "prepare" in failed.hint, failed
    assert done[-1].snapshot
    site.assert_restorable()
    assert "target-unreachable" in site.alerts()

    plug_in(disk)
    ready = until(lambda: prepared_when_free(site, disk), "the disk is given to us alone")
    assert not ready.made
    made = copied(site)
    listed = restic(site, "snapshots", "--json", "--no-lock")
    assert before in listed and made[-1] in listed
    assert "no errors were found" in restic(site, "check", "--read-data")
    assert "target-unreachable" not in site.alerts()
    assert finished(site).snapshots == len(json.loads(listed))


# what is refused, with nothing changed


def digest(disk: Path) -> str:
    return hashlib.sha256(disk.read_bytes()).hexdigest()


def test_a_disk_with_something_on_it_is_left_alone(site: Site, disk: Path, tmp_path: Path) -> None:
    before = digest(disk)
    with pytest.raises(MediumError, match="no file system") as empty:
        prepared(site, disk, erase=False)
    assert f"--erase {LABEL}" in empty.value.hint and digest(disk) == before
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    (tmp_path / "mnt").mkdir()
    with mounted(tmp_path / "mnt", str(disk)):
        (tmp_path / "mnt/photos").mkdir()
        with pytest.raises(MediumError, match="mounted at"):
            prepared(site, disk, erase=True)
    with pytest.raises(MediumError, match="photos"):
        prepared(site, disk, erase=False)
    assert not os.path.ismount(target_in(site).mount)
    with register_in(site) as register, pytest.raises(ConfigError, match="SH1-OTHER"):
        prepare(register, Wish(LABEL, disk, "SH1-OTHER"), lambda _text: None)
    with mounted(tmp_path / "mnt", str(disk)):
        assert (tmp_path / "mnt/photos").is_dir()


def test_a_link_on_a_medium_leads_nobody_elsewhere(site: Site, disk: Path, tmp_path: Path) -> None:
    """It may come from anywhere: neither root, who prepares it, nor the daemon follows a link that is on it."""
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    (tmp_path / "mnt").mkdir()
    (tmp_path / "victim/keys").mkdir(parents=True)
    (tmp_path / "victim/keys/mine").write_text("mine\n")
    with mounted(tmp_path / "mnt", str(disk)):
        (tmp_path / "mnt/vaultd").symlink_to(tmp_path / "victim")
    with pytest.raises(MediumError, match="something else on it: vaultd"):
        prepared(site, disk, erase=False)
    assert [path.name for path in (tmp_path / "victim").rglob("*")] == ["keys", "mine"]
    prepared(site, disk)
    folder = Path(target_in(site).path)
    (folder / "locks").rmdir()
    (folder / "locks").symlink_to(tmp_path / "victim")
    with pytest.raises(VaultdError):
        copied(site)
    assert [path.name for path in (tmp_path / "victim").rglob("*")] == ["keys", "mine"]


def test_a_label_that_is_in_no_register_and_a_device_that_is_none(site: Site, disk: Path, tmp_path: Path) -> None:
    with register_in(site) as register:
        with pytest.raises(NoMediumError):
            prepare(register, Wish("SH1-2026-77777", disk), lambda _text: None)
        register.add(Medium(label=LABEL, custodian="张伟", classification="secret"))
        for path in (tmp_path / "disk.img", tmp_path / "nothing", Path("/dev/null")):
            with pytest.raises(ConfigError):
                prepare(register, Wish(LABEL, path, LABEL), lambda _text: None)


def test_another_disk_under_the_same_label_is_not_taken_for_it(site: Site, disk: Path, tmp_path: Path) -> None:
    prepared(site, disk)
    with attached(tmp_path / "other.img") as other:
        subprocess.run(["mkfs.ext4", "-q", str(other)], check=True)
        with pytest.raises(MediumError, match="another disk"):
            prepared(site, other, erase=False)


def test_it_must_not_be_unplugged_while_somebody_holds_it(site: Site, disk: Path) -> None:
    prepared(site, disk)
    with (target_in(site).mount / "held").open("w"), pytest.raises(MediumError, match="must not be unplugged"):
        finished(site)
    assert os.path.ismount(target_in(site).mount)
    (target_in(site).mount / "held").unlink()
    assert finished(site).snapshots == 0


def test_a_pack_that_has_not_arrived_is_found(site: Site, disk: Path) -> None:
    (site.folder / "records/a").write_bytes(os.urandom(300_000))
    site.backup()
    prepared(site, disk)
    copied(site)
    pack = max((Path(target_in(site).path) / "data").rglob("*/*"), key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    os.truncate(pack, pack.stat().st_size - 1)
    with pytest.raises(MediumError, match=r"must not be unplugged.*restic finds"):
        finished(site)


# whose keys open it


def test_with_the_line_dead_the_kept_keys_make_it_and_a_kit_opens_it(site: Site, disk: Path, tmp_path: Path) -> None:
    kit = tmp_path / "kit.password"
    kit.write_text("of a recovery kit that was made long ago\n")
    asyncio.run(commands.add_key(site.repository(), kit, "kit", "ward"))
    config = load(site.file)
    assert keep_keys(config, config.target[0])
    original = asyncio.run(commands.repository_id(site.repository()))
    site.servers["offsite"].stop()
    ready = prepared(site, disk)
    assert ready.like == "offsite" and ready.repository != original
    (site.folder / "records/a").write_text("x")
    (made, *_more) = copied(site)
    assert made[:8] in restic(site, "snapshots", "--no-lock", password=kit)


def test_with_no_key_to_be_had_it_has_a_password_of_its_own(site: Site, disk: Path) -> None:
    site.servers["offsite"].stop()
    ready = prepared(site, disk)
    assert ready.like == "" and ready.made
    assert target_in(site).password_file.stat().st_mode & 0o777 == 0o600
    assert json.loads(restic(site, "cat", "config", "--no-lock"))["id"] == ready.repository


def test_as_people_type_it(site: Site, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the command to the restored file; and from the folder alone, with nothing but the password."""

    def run(*words: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["--config", str(site.file), "--json", *map(str, words)]) == code
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    (site.folder / "records/a").write_text("content\n")
    site.backup()
    run("media", "add", "--label", LABEL, "--custodian", "张伟", "--classification", "secret")
    ready = run("evacuate", "medium", "prepare", LABEL.lower(), "--device", disk, "--erase", LABEL.lower())
    assert (ready["label"], ready["made"], ready["like"]) == (LABEL, True, "offsite")
    copied(site)
    run("restore", "records", "--to", tmp_path / "one", "--target", LABEL)
    run("restore", "records", "--to", tmp_path / "two", "--repository", ready["folder"], "--password-file",
        target_in(site).password_file)  # fmt: skip
    assert (tmp_path / "one/a").read_text() == (tmp_path / "two/a").read_text() == "content\n"
    verified = run("verify", "records", "--target", LABEL, "--full")
    assert [one["target"] for one in verified["verifications"]] == [LABEL], verified
    store = Store(site.state / "state.db")
    ordered(store, "E-2026-001")
    store.close()
    done = run("evacuate", "medium", "finish", LABEL, "--by", "张伟")
    assert done["may_be_unplugged"] and done["evacuation"] == "E-2026-001"
    site.backup()
    (entry,) = site.entries("evacuation-disk")
    assert (entry["state"], entry["label"], entry["event"]) == ("unplugged", LABEL, done["event"])
    assert [one["action"] for one in site.entries("media-custody")] == ["remove"]
    (signed,) = run("evacuate", "sign-off", LABEL, "--by", "张伟", "--to", "李娜", "--seal", "5")["signed"]
    assert signed["label"] == LABEL
    run("evacuate", "medium", "finish", LABEL, "--by", "张伟", code=1)


def test_the_daemon_keeps_the_keys_for_the_day_on_which_the_line_is_dead(site: Site) -> None:
    config = load(site.file)
    kept = config.target_folder(config.target[0]) / medium.KEPT
    asyncio.run(keeping.once(config))
    assert [path.name for path in (kept / "keys").iterdir()] == [
        path.name for path in (site.servers["offsite"].root / "repo/keys").iterdir()
    ]
    site.servers["offsite"].stop()
    asyncio.run(keeping.once(config))  # not asked again within the day; and no fault where it does not answer
    (kept / "config").unlink()
    asyncio.run(keeping.once(config))
    assert not (kept / "config").exists()


def test_a_registered_medium_that_is_plugged_in_is_noticed(site: Site, disk: Path) -> None:
    """With the one command that makes it a target, until it is one; what holds bytes of a vault never is."""
    seen = disk_of("u", names=(disk.name,), serial=f"S-{LABEL}", wwn="")
    other = disk_of("o", names=("sdzz",))
    found = inventory([seen, other], [mapped("records", leaf("o"))])
    with register_in(site) as register:
        assert noticed(site.state, register.store, found) == []
        register.add(Medium(label=LABEL, custodian="张伟", classification="secret", serial=f"S-{LABEL}"))
        (one,) = noticed(site.state, register.store, found)
        assert one.command == f"vaultd evacuate medium prepare {LABEL} --device {disk}"
        holds = inventory([seen], [mapped("records", leaf("u"))])
        assert noticed(site.state, register.store, holds) == []
    prepared(site, disk)
    with register_in(site) as register:
        assert noticed(site.state, register.store, found) == []
        assert [one.name for one in medium.plugged(register.config, register.store)] == [LABEL]


def test_a_medium_that_is_full_says_so_and_keeps_what_it_has(site: Site, tmp_path: Path) -> None:
    (site.folder / "records/a").write_text("fits\n")
    site.backup()
    with attached(tmp_path / "small.img", 24 << 20) as small:
        prepared(site, small)
        (before,) = copied(site)
        (site.folder / "records/b").write_bytes(os.urandom(30 << 20))
        with pytest.raises(TargetFullError):
            copied(site)
        assert "target-full" in site.alerts()
        (site.folder / "records/b").unlink()
        copied(site)
        assert restic(site, "dump", before, str(site.folder / "records/a")) == "fits\n"
        assert "target-full" not in site.alerts()
