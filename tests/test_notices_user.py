"""The courier as another user, who sees of the host what systemd/vaultd-courier.service lets it see."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.noticing import Host, HttpServer
from tests.site import until
from vaultd.config import load
from vaultd.daemon.notices import NoticeWatch
from vaultd.notices import folders, lock, outbox
from vaultd.notices.model import Notice
from vaultd.store import Store

UNIT = Path(__file__).parent.parent / "systemd" / "vaultd-courier.service"
NOTICE = Notice("W-2026-001", "warning", "Smoke", "Leave.")
GROUP, DAEMON, COURIER = 54321, 54321, 54322

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")
pytestmark = [pytest.mark.root]

# As the unit does: of the state folder nothing but the outbox, the vaults' folder not at all, another user, the group.
# show: a folder stays where it is, though one above it is closed to others (the interpreter may be in /root).
_CONFINED = f"""
set -e
state=$1 vault=$2; shift 2
show() {{ # what, instead of which
  mkdir -p "$state.shown"; mount --bind "$1" "$state.shown"; mount -t tmpfs -o mode=0755 none "$2"
  mkdir -p "$1"; mount --move "$state.shown" "$1"
}}
while [ "$1" != -- ]; do show "$1" "$2"; shift 2; done; shift
show "$state/notices" "$state"
mount -t tmpfs -o mode=0000 none "$vault"
exec setpriv --reuid {COURIER} --regid {GROUP} --clear-groups --bounding-set=-all --no-new-privs "$@"
"""


def confined(host: Host) -> list[str]:
    """What a command of the courier's user is to begin with."""
    closed: list[str] = []
    for needed in (Path(sys.base_prefix), Path(sys.prefix), UNIT.parent.parent):
        above = next((one for one in reversed(needed.parents) if not one.stat().st_mode & stat.S_IXOTH), None)
        closed += [] if above is None else [str(needed), str(above)]
    return ["unshare", "-m", "bash", "-c", _CONFINED, "confined", str(host.state), str(host.vault), *closed, "--"]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    for above in (tmp_path, *tmp_path.parents):  # pytest's folders are root's alone
        if above.name.startswith(("pytest-", "popen-")) or above == tmp_path:
            above.chmod(0o755)
    made = Host(tmp_path)
    made.vault.mkdir()
    http = HttpServer()
    made.channel("web", http.url)
    os.chown(tmp_path / "web.url", COURIER, GROUP)
    os.chown(made.state, DAEMON, GROUP)
    outboxes = made.state / "notices"
    outboxes.mkdir()
    os.chown(outboxes, DAEMON, GROUP)
    outboxes.chmod(0o750)  # as systemd/tmpfiles.conf
    made.write()
    made.file.chmod(0o640)
    os.chown(made.file, 0, GROUP)
    try:
        yield made
    finally:
        made.close()
        http.close()


def start_confined(host: Host) -> subprocess.Popen[bytes]:
    return host.start(*confined(host))


# The daemon's user has no capability here; the interpreter may be closed to it, so it is loaded before.
_DAEMON = f"""
import os, sys
from pathlib import Path
from vaultd.config import load
from vaultd.daemon.notices import NoticeWatch
from vaultd.notices import lock, outbox
from vaultd.notices.model import Notice
from vaultd.store import Store
config = load(Path(sys.argv[1]))
os.setgroups([]); os.setgid({GROUP}); os.setuid({DAEMON})
store = Store(config.host.state / "state.db")
NoticeWatch(config, store).once()
print(lock.held(config.host.state), [event.fields["state"] for event in store.events(9) if event.type == "notice"])
print(outbox.put(config.host.state, Notice("W-2", "warning", "t", "x")))
"""


def modes(host: Host) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in (host.state / "notices").rglob("*"):
        status = path.lstat()
        name = str(path.relative_to(host.state / "notices"))
        found[name] = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    return found


@needs_root
def test_the_courier_of_another_user_sends_and_the_daemon_takes_up_its_word(host: Host) -> None:
    """Root has put it in (a command), the daemon's user looks after it, the courier's sends it."""
    number = outbox.put(host.state, NOTICE)
    assert modes(host) == {
        "kept": (0o700, DAEMON, GROUP), f"kept/{number}.json": (0o600, DAEMON, GROUP),
        "new": (0o770, DAEMON, GROUP), f"new/{number}.json": (0o640, DAEMON, GROUP),
        **dict.fromkeys(("sending", "done", "failed", "courier"), (0o770, DAEMON, GROUP)),
    }  # fmt: skip
    start_confined(host)
    until(lambda: host.where(number) == folders.DONE, f"sent: {host.said()}")
    assert modes(host)[f"done/{number}.json"] == (0o640, COURIER, GROUP)
    assert lock.held(host.state)
    done = subprocess.run([sys.executable, "-c", _DAEMON, str(host.file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said, second = done.stdout.splitlines()
    assert said == "True ['sent']"
    until(lambda: host.where(second) == folders.DONE, f"the daemon's own too: {host.said()}")


@needs_root
def test_the_courier_cannot_see_the_state_nor_a_vault(host: Host) -> None:
    (host.state / "state.db").write_text("names")
    (host.state / "state.db").chmod(0o644)
    (host.vault / "patient.txt").write_text("secret")
    outbox.put(host.state, NOTICE)
    done = subprocess.run(
        [*confined(host), "find", str(host.state), str(host.vault)], capture_output=True, text=True, check=False
    )
    seen = {os.path.relpath(line, host.folder) for line in done.stdout.splitlines()}
    assert "state.db" not in done.stdout
    assert "patient" not in done.stdout
    assert seen >= {"state/notices/new", "state/notices/kept", "records"}
    assert not any(name.startswith("state/notices/kept/") for name in seen)
    assert done.returncode == 1  # what is not its own says so


@needs_root
def test_when_the_group_is_let_in_later_what_waits_is_for_it_too(host: Host) -> None:
    base = host.state / "notices"
    base.chmod(0o700)
    number = outbox.put(host.state, NOTICE)
    assert modes(host)["new"][0] == 0o700
    base.chmod(0o750)
    store = Store(host.state / "state.db")
    try:
        NoticeWatch(load(host.file), store).once()
    finally:
        store.close()
    assert modes(host)[f"new/{number}.json"] == (0o640, DAEMON, GROUP)
    start_confined(host)
    until(lambda: host.where(number) == folders.DONE, f"sent: {host.said()}")


@needs_root
def test_the_daemon_needs_no_chown_for_that(host: Host) -> None:
    """Its unit refuses the call to everybody (@privileged), also where it would change nothing."""
    code = f"""
import os, sys
from pathlib import Path
from vaultd.notices import outbox
from vaultd.notices.model import Notice
def refused(*_about, **_options):
    raise PermissionError(1, "Operation not permitted")
os.setgroups([]); os.setgid({GROUP}); os.setuid({DAEMON})
os.chown = os.fchown = refused
outbox.put(Path(sys.argv[1]), Notice("W-1", "warning", "t", "x"))
"""
    done = subprocess.run([sys.executable, "-c", code, str(host.state)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {modes(host)[name] for name in folders.SHARED} == {(0o770, DAEMON, GROUP)}


def test_alone_everything_is_the_owners(tmp_path: Path) -> None:
    host = Host(tmp_path)
    number = outbox.put(host.state, NOTICE)
    found = modes(host)
    assert {found[name][0] for name in ("kept", "new", "sending", "done", "failed", "courier")} == {0o700}
    assert {found[f"{name}/{number}.json"][0] for name in ("kept", "new")} == {0o600}


def test_the_unit_is_valid_and_as_hard_as_it_was() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(UNIT)], capture_output=True, text=True)
    wrong = [line for line in done.stderr.splitlines() if UNIT.name in line and "is not executable" not in line]
    assert wrong == []
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(UNIT)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:]  # exposure above 1.5 of 10
