"""When a mirror is an anchor: real sshd, another user's copies, and every way to set the server up wrongly."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.anchoring import Ledger
from tests.anchorsite import ACCOUNT, KEEPER, AccountServer, anchor_site, chown, needs_users
from vaultd import doctor
from vaultd.anchor import due, kept, mirror
from vaultd.anchor.faults import InconsistentError
from vaultd.anchor.probe import probe
from vaultd.config import Config
from vaultd.errors import TargetReadOnlyError

pytestmark = [needs_users, pytest.mark.root]

FOLDER = "ward.example%2Frecords"


@pytest.fixture(params=["copies", "btrfs"])
def site(request):
    with anchor_site(request.param) as made:
        yield made


@pytest.fixture
def copies():
    with anchor_site("copies") as made:
        yield made


def served(site, config, make_target):
    """A server of the site, and the configuration with a target there."""
    server = AccountServer(site.base)
    server.files = site.base.parent / "server"
    for name in ("identity", "host_key", "log", "_authorized_keys", "_config", "_pid_file", "_state"):
        setattr(server, name, server.files / Path(getattr(server, name)).name)
    server.start()
    target = make_target(server)
    values = config.model_dump(exclude={"target"})
    return server, Config.model_validate({**values, "target": [target.model_dump()]}), target


@pytest.fixture
def reach(config, make_target):
    """Serve a site: (configuration, target, ledger)."""
    servers = []

    def do(site):
        server, found, target = served(site, config, make_target)
        servers.append(server)
        return found, target, Ledger(found.ledger_folder)

    yield do
    for server in servers:
        server.stop()


def test_the_ready_examples_make_an_anchor(site, reach):
    config, target, ledger = reach(site)
    mirror.publish(config, target, ledger.folder, ledger.note())
    with site.timer():
        found = probe(config, target, ledger.origin, wait=20, pause=0.05)
    assert found.failed == () and found.is_anchor
    actions = {one.action for one in found.attempts}
    for what in ("copy", "original"):
        for does in ("overwrite the", "append to the", "truncate the", "rename over the", "remove the"):
            assert f"{does} {what}" in actions
    assert {one.refused for one in found.attempts if "copy" in one.action and "next" not in one.action} == {True}
    assert f"make a folder in {site.inner}" in actions and "make a folder in /" in actions
    assert list((site.checkpoints / FOLDER).iterdir()) == [site.checkpoints / FOLDER / "1"]  # nothing stays

    ledger.grow(30)
    mirror.publish(config, target, ledger.folder, ledger.note())
    site.run()
    seen = mirror.look(config, target, ledger.folder)
    assert seen.anchored.size == ledger.size
    standings = due.standings(config, ledger.folder, {target.name})
    assert [(one.kind, one.size, one.behind) for one in standings] == [
        ("mirror", ledger.size, 0), ("anchor", ledger.size, 0),
    ]  # fmt: skip


def test_target_check_says_which_it_is(copies, reach):
    config, target, _ledger = reach(copies)
    probed = []

    def checkpoints():
        found = doctor.check_target(config, target, on_probed=probed.append, wait=20)
        (one,) = [finding for finding in found if finding.subject == "checkpoints offsite"]
        return one.level, one.text

    with copies.timer():
        level, text = checkpoints()
    assert level == "fine" and "are an anchor" in text and probed[-1].is_anchor
    copies.base.chmod(0o777)
    with copies.timer():
        level, text = checkpoints()
    assert level == "advice" and "a mirror, not an anchor" in text and f"make a folder in {copies.base}" in text
    shutil.rmtree(copies.anchored)
    level, text = checkpoints()
    assert level == "advice" and text.endswith("a mirror, not an anchor") and probed[-1].verdict == "no-copies"


def test_a_server_that_does_not_copy(copies, reach):
    config, target, ledger = reach(copies)
    assert probe(config, target, ledger.origin, wait=0.3, pause=0.1).verdict == "not-copied"


def test_hard_links_to_the_accounts_own_files_are_no_anchor(copies, reach):
    """``cp -al`` of the account's folder: the copies' folders are out of reach, their content is not."""
    config, target, ledger = reach(copies)

    def link():
        new = copies.anchored / time.strftime("%Y%m%dT%H%M%SZ")
        if not new.exists():
            # As root: the kernel may forbid others to link what is not theirs (fs.protected_hardlinks).
            subprocess.run(["cp", "-al", copies.checkpoints, new], stderr=subprocess.DEVNULL)  # files come and go
            for folder, _folders, _names in os.walk(new):
                chown(Path(folder), KEEPER, mode=0o755)
        return ""

    copies.run = link
    with copies.timer():
        found = probe(config, target, ledger.origin, wait=20, pause=0.05)
    assert found.verdict == "changeable"
    assert {"overwrite the original", "append to the original", "truncate the original"} <= set(found.failed)


def test_folders_that_the_account_may_not_read_or_write(copies, reach):
    config, target, ledger = reach(copies)
    for mode in (0o500, 0o000):
        (copies.checkpoints / FOLDER).mkdir(exist_ok=True)
        chown(copies.checkpoints / FOLDER, ACCOUNT, mode=mode)
        with pytest.raises(TargetReadOnlyError):
            mirror.publish(config, target, ledger.folder, ledger.note())
    chown(copies.checkpoints, "root", mode=0o700)
    with pytest.raises(TargetReadOnlyError):
        mirror.look(config, target, ledger.folder)
    assert kept.names(ledger.folder, kept.MIRROR) == []


@pytest.mark.parametrize("how", ["copies by the account", "anchored is the account's", "copies may be written"])
def test_owners_that_are_wrong(copies, reach, how):
    config, target, ledger = reach(copies)
    plain = copies.run

    def run():
        said = plain()
        for folder, _folders, names in os.walk(copies.anchored):
            for name in names:
                if how == "copies by the account":
                    chown(Path(folder, name), ACCOUNT, mode=0o444)
                elif how == "copies may be written":
                    Path(folder, name).chmod(0o666)
        return said

    copies.run = run
    if how == "anchored is the account's":
        chown(copies.anchored, ACCOUNT, KEEPER, mode=0o575)
    with copies.timer():
        found = probe(config, target, ledger.origin, wait=20, pause=0.05)
    assert found.verdict == "changeable" and found.failed


def test_copies_that_follow_what_the_account_does_are_no_anchor(copies, reach):
    """A server that makes each generation anew of what is there: what is removed is gone from the next one."""
    config, target, ledger = reach(copies)

    def run():
        new = copies.anchored / f"{time.strftime('%Y%m%dT%H%M%S')}.{time.time_ns() % 10**9:09}Z"
        making = copies.anchored / ".new"
        subprocess.run(["cp", "-r", copies.checkpoints, making], stderr=subprocess.DEVNULL)  # files come and go
        making.chmod(0o755)
        making.rename(new)
        for old in copies.generations()[:-2]:
            shutil.rmtree(old)
        return ""

    copies.run = run
    with copies.timer():
        found = probe(config, target, ledger.origin, wait=20, pause=0.05)
    assert found.verdict == "changeable" and found.failed


def test_a_link_in_a_folder_of_the_account_leads_to_no_anchor(copies, reach):
    config, target, ledger = reach(copies)
    # The copies are elsewhere, well guarded; the way to them is not.
    elsewhere = copies.base.parent / "elsewhere"
    copies.anchored.rename(elsewhere)
    middle = copies.base / "repo" / "middle"
    middle.symlink_to(elsewhere)
    (copies.base / "repo").chmod(0o755)
    copies.anchored.symlink_to(middle)
    with copies.timer():
        found = probe(config, target, ledger.origin, wait=20, pause=0.05)
    assert found.verdict == "changeable" and found.failed[0] == f"make a folder in {copies.base}/repo"


def test_what_was_taken_stays_and_a_change_is_found_out(site, reach, tmp_path):
    config, target, ledger = reach(site)
    fork = ledger.copied(tmp_path / "fork")
    ledger.grow()
    fork.grow(word="another")
    mirror.publish(config, target, ledger.folder, ledger.note())
    site.run()
    mine = site.checkpoints / FOLDER / str(ledger.size)
    good = mine.read_bytes()
    # Root of the host brings another history: the mirror is the account's, and follows.
    mine.write_bytes(fork.note())
    assert "was changed since it was taken" in site.run()
    newest = site.generations()[-1] / FOLDER
    assert (newest / str(ledger.size)).read_bytes() == good
    digest = hashlib.sha256(fork.note()).hexdigest()[:16]
    assert (newest / f"{ledger.size}.{digest}").read_bytes() == fork.note()
    # The copy tells on the other history, whichever of the two the host shows now.
    for log in (ledger, fork):
        with pytest.raises(InconsistentError) as caught:
            mirror.look(config, target, log.folder)
        assert caught.value.checkpoint is not None
    mine.write_bytes(good)
    with pytest.raises(InconsistentError):
        mirror.look(config, target, ledger.folder)
    shutil.rmtree(site.checkpoints / FOLDER)
    site.run()
    assert (site.generations()[-1] / FOLDER / str(ledger.size)).read_bytes() == good


def test_generations_are_made_only_of_news_and_old_ones_go(site, reach):
    _config, _target, ledger = reach(site)
    text = site.script.read_text()
    site.script.write_text(text.replace("GENERATIONS=48", "GENERATIONS=3"))
    folder = site.checkpoints / FOLDER
    folder.mkdir()
    for size in range(1, 7):
        (folder / str(size)).write_bytes(ledger.note())
        site.run()
        site.run()
        assert len(site.generations()) == min(size, 3)
    assert len(list((site.generations()[-1] / FOLDER).iterdir())) == 6


def test_what_the_account_puts_there_harms_nothing(site, reach):
    secret = site.base.parent / "secret"
    secret.write_text("only root may read this\n")
    secret.chmod(0o600)
    folder = site.checkpoints / FOLDER
    folder.mkdir()
    (folder / "1").symlink_to(secret)
    (folder / "2").symlink_to("/etc/hostname")
    os.mkfifo(folder / "3")
    (folder / "4").mkdir()
    (folder / "5").write_bytes(b"x" * 1_000_000)
    (folder / "6").write_bytes(b"")
    (folder / "new\nline").write_bytes(b"x")
    (folder / "7").write_bytes(b"good\n")
    (folder / "8").write_bytes(b"unreadable\n")
    (folder / "8").chmod(0)
    (site.checkpoints / "..hidden").mkdir()
    (site.checkpoints / "..hidden" / "1").write_bytes(b"x")
    (site.checkpoints / "a b$(touch x)").mkdir()
    (site.checkpoints / "a b$(touch x)" / "1").write_bytes(b"x")
    (site.checkpoints / "linked").symlink_to("/proc/self")
    site.run()
    found = {
        str(path.relative_to(site.generations()[-1])) for path in site.generations()[-1].rglob("*") if path.is_file()
    }
    assert {name for name in found if not name.startswith(".")} == {f"{FOLDER}/5", f"{FOLDER}/7"}
    assert (site.generations()[-1] / FOLDER / "5").stat().st_size == 65536
    assert kept.size_of("5") == 5  # and vaultd, which signs nothing of the kind, raises an alert


def test_the_script_passes_and_the_units_are_sound(tmp_path):
    """What the examples are made of, as systemd and the shell read them."""
    script = Path(__file__).parent.parent / "config" / "offsite"
    subprocess.run(["bash", "-n", script / "vaultd-anchor"], check=True)
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    for unit in script.glob("vaultd-anchor-*"):
        name = unit.name.replace("@", "@srv-backup-ward")
        content = unit.read_text().replace("/usr/local/sbin/vaultd-anchor", str(script / "vaultd-anchor"))
        (tmp_path / name).write_text(content.replace("User=vaultd-anchor", f"User={KEEPER}"))
    units = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line or "vaultd-anchor" in line] == []
