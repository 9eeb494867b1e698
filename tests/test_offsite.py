"""The off-site server of tests and demo: serves, breaks on demand, is found again, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from vaultd.demo.offsite import OffsiteServer
from vaultd.ssh import write_ssh_files

PATIENCE = 20.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def sftp(files_folder: Path, make_target: Callable[..., object], server: OffsiteServer) -> list[str]:
    """The command line of OpenSSH's own client for a server."""
    files = write_ssh_files(make_target(server), files_folder)  # type: ignore[arg-type]
    return ["sftp", "-q", "-F", str(files.config_path), "-b", "-", files.alias]


def open_session(command: list[str], server: OffsiteServer) -> subprocess.Popen[bytes]:
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert client.stdin is not None and client.stdout is not None
    client.stdin.write(b"pwd\n")
    client.stdin.flush()
    while b"Remote working directory" not in client.stdout.readline():
        assert client.poll() is None
    assert server.sessions() > 0
    return client


def ask(client: subprocess.Popen[bytes]) -> None:
    """Let the client want something of the server, so that it has to notice whether that is there."""
    assert client.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        client.stdin.write(b"mkdir asked\n")
        client.stdin.flush()


def finish(client: subprocess.Popen[bytes]) -> int:
    try:
        client.communicate(timeout=PATIENCE)
    finally:
        client.kill()
        client.wait()
    return client.returncode


def test_clients_start_in_the_folder_also_when_its_path_has_blanks_and_signs(tmp_path, make_target):
    for name in ("plain", "with blank", "per%cent", "apo'strophe and blank"):
        with OffsiteServer(tmp_path / name) as server:
            command = sftp(tmp_path / "client", make_target, server)
            done = subprocess.run(command, input=b"mkdir made\n", capture_output=True, timeout=PATIENCE)
            assert done.returncode == 0, done.stderr
            assert (tmp_path / name / "made").is_dir()


def test_a_read_only_server_refuses_to_write(tmp_path, make_target):
    for name in ("plain", "with blank"):
        with OffsiteServer(tmp_path / name, read_only=True) as server:
            command = sftp(tmp_path / "client", make_target, server)
            done = subprocess.run(command, input=b"mkdir made\n", capture_output=True, timeout=PATIENCE)
            assert done.returncode != 0
            assert not list((tmp_path / name).iterdir())


def test_there_is_no_shell_and_no_forwarding(offsite, tmp_path, make_target):
    files = write_ssh_files(make_target(), tmp_path / "client")
    command = ["ssh", "-F", str(files.config_path), files.alias, f"touch {tmp_path}/done"]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    assert not (tmp_path / "done").exists()


def test_stop_and_start_keep_the_port_and_end_open_connections(offsite, tmp_path, make_target):
    client = open_session(sftp(tmp_path / "client", make_target, offsite), offsite)
    port = offsite.port
    offsite.stop()
    ask(client)
    assert finish(client) != 0
    assert not offsite.running()
    assert offsite.start() == port


def test_cut_ends_open_connections_and_new_ones_are_accepted(offsite, tmp_path, make_target):
    command = sftp(tmp_path / "client", make_target, offsite)
    client = open_session(command, offsite)
    assert offsite.cut() > 0
    ask(client)
    assert finish(client) != 0
    assert offsite.running()
    assert finish(open_session(command, offsite)) == 0


def test_a_frozen_connection_hangs_and_goes_on_when_thawed(offsite, tmp_path, make_target):
    client = open_session(sftp(tmp_path / "client", make_target, offsite), offsite)
    assert offsite.freeze() > 0
    assert {child.status() for child in psutil.Process(listener_of(offsite)).children(recursive=True)} == {"stopped"}
    ask(client)
    offsite.thaw()
    assert finish(client) == 0
    assert (offsite.root / "asked").is_dir()


def test_stop_also_ends_what_is_frozen(offsite, tmp_path, make_target):
    client = open_session(sftp(tmp_path / "client", make_target, offsite), offsite)
    listener = psutil.Process(listener_of(offsite))
    family = [listener, *listener.children(recursive=True)]
    offsite.freeze(listener=True)
    offsite.stop()
    ask(client)
    assert finish(client) != 0
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_rekey_changes_the_host_key_and_keeps_the_port(offsite):
    before, port = offsite.known_hosts_line(), offsite.port
    offsite.rekey()
    assert offsite.running() and offsite.port == port
    assert offsite.known_hosts_line() != before


def test_another_process_finds_the_server_and_can_stop_it(tmp_path):
    script = (
        "import sys; from pathlib import Path; from vaultd.demo.offsite import OffsiteServer\n"
        "print(OffsiteServer(Path(sys.argv[1])).start())"
    )
    folder = tmp_path / "offsite"
    started = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, timeout=PATIENCE)
    server = OffsiteServer(folder)
    try:
        assert started.returncode == 0, started.stderr
        assert server.running()
        assert server.port == int(started.stdout)
        assert server.start() == int(started.stdout), "a second start finds it, and starts no other"
    finally:
        server.stop()
    assert not server.running()
    server.stop()


def test_a_process_that_got_the_same_pid_is_not_touched(offsite):
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        found = offsite._recorded()
        offsite.stop()
        offsite._state.write_text(json.dumps({**found, "pid": bystander.pid}))
        assert not offsite.running()
        offsite.stop()
        offsite.cut()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_server_that_died_is_noticed_and_starts_again(offsite):
    os.kill(listener_of(offsite), signal.SIGKILL)
    until(lambda: not offsite.running())
    offsite.start()
    assert offsite.running()


def listener_of(server: OffsiteServer) -> int:
    return int((server.files / "sshd.pid").read_text())
