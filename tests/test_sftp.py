"""Against a real OpenSSH server: pinned keys only, each fault told apart in time, small files, a look before use."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from vaultd import sftp
from vaultd.demo.offsite import OffsiteServer
from vaultd.demo.sshd import make_key
from vaultd.errors import (
    AuthenticationError,
    HostKeyError,
    RepositoryError,
    TargetReadOnlyError,
    UnreachableError,
)

SHORT = 1.0


def key_of(server: OffsiteServer) -> sftp.HostKey:
    return sftp.HostKey(*server.known_hosts_line().split()[1:3])


# -- host keys


def test_fetching_a_host_key_authenticates_nothing_and_shows_the_fingerprint_of_ssh_keygen(offsite):
    assert sftp.fetch_host_key(offsite.host, offsite.port) == [key_of(offsite)]
    assert offsite.connections_seen() > 0
    assert offsite.authentications_seen() == 0
    command = ["ssh-keygen", "-l", "-f", f"{offsite.host_key}.pub"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]
    assert key_of(offsite).fingerprint == shown


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_host_key_are_fetched_and_accepted(tmp_path, make_target, kind):
    server = OffsiteServer(tmp_path / kind)
    server.prepare()
    server.host_key.unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", server.host_key], check=True, input=b"y\n")
    with server:
        found = sftp.fetch_host_key(server.host, server.port)
        target = make_target(server)
        assert found == sftp.pinned_keys(target.known_hosts, server.host, server.port)
        with sftp.connect(target, target.known_hosts) as session:
            assert session.exists(".")


def test_an_unknown_host_is_not_even_connected_to(offsite, target, tmp_path):
    for content in (None, "", "[127.0.0.1]:1 ssh-ed25519 AAAA\n", "# nothing\n@revoked * ssh-ed25519 AAAA\n"):
        pins = tmp_path / "pins"
        if content is not None:
            pins.write_text(content)
        with pytest.raises(HostKeyError) as caught, sftp.connect(target, pins):
            pass
        assert "target trust" in caught.value.hint
    assert offsite.connections_seen() == 0


def test_a_changed_host_key_is_refused_before_a_user_is_named(offsite, target):
    old = key_of(offsite).fingerprint
    offsite.rekey()
    with pytest.raises(HostKeyError) as caught, sftp.connect(target, target.known_hosts):
        pass
    assert old in caught.value.why and key_of(offsite).fingerprint in caught.value.why
    assert offsite.connections_seen() > 0
    assert offsite.authentications_seen() == 0


def test_a_server_that_lost_the_pinned_kind_of_key_is_refused(offsite, target):
    offsite.stop()
    offsite.host_key.unlink()
    command = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", offsite.host_key]
    subprocess.run(command, check=True, input=b"y\n", capture_output=True)
    offsite.start()
    with pytest.raises(HostKeyError), sftp.connect(target, target.known_hosts):
        pass
    assert offsite.authentications_seen() == 0


def test_trust_replaces_the_keys_of_one_server_and_keeps_the_other_lines(tmp_path):
    pins = tmp_path / "new folder" / "known_hosts"
    first, second = (sftp.HostKey("ssh-ed25519", base64.b64encode(text).decode()) for text in (b"one", b"two!!"))
    sftp.trust(pins, "a.example", 22, [first])
    sftp.trust(pins, "a.example", 2222, [second])
    with pins.open("a") as stream:
        stream.write("# by hand\n@revoked a.example ssh-ed25519 AAAA\n")
    sftp.trust(pins, "a.example", 22, [second])
    assert sftp.pinned_keys(pins, "a.example", 22) == [second]
    assert sftp.pinned_keys(pins, "A.example", 2222) == [second]
    assert sftp.pinned_keys(pins, "b.example", 22) == []
    assert "# by hand" in pins.read_text() and "@revoked" in pins.read_text()
    assert pins.stat().st_mode & 0o777 == 0o600


def test_hashed_names_and_lists_of_names_are_understood(tmp_path):
    pins, salt = tmp_path / "known_hosts", os.urandom(20)
    digest = hmac.new(salt, b"[a.example]:2222", hashlib.sha1).digest()
    hashed = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    pins.write_text(f"{hashed} ssh-ed25519 b25l comment\nb.example,10.0.0.1 ssh-rsa dHdv\nbroken\nx ssh-rsa %%%\n")
    assert sftp.pinned_keys(pins, "a.example", 2222) == [sftp.HostKey("ssh-ed25519", "b25l")]
    assert sftp.pinned_keys(pins, "10.0.0.1", 22) == [sftp.HostKey("ssh-rsa", "dHdv")]
    assert sftp.pinned_keys(pins, "x", 22) == []


# -- logging in


def test_a_key_that_the_server_does_not_know_is_an_authentication_error(offsite, make_target, tmp_path):
    target = make_target(identity=make_key(tmp_path / "stranger"))
    with pytest.raises(AuthenticationError) as caught, sftp.connect(target, target.known_hosts):
        pass
    assert "authorized_keys" in caught.value.hint
    assert offsite.authentications_seen() > 0


def test_an_account_that_is_not_allowed_is_an_authentication_error(make_target):
    target = make_target(user="nobody")
    with pytest.raises(AuthenticationError), sftp.connect(target, target.known_hosts):
        pass


def test_an_identity_that_ssh_would_not_use_is_refused_before_connecting(offsite, make_target, tmp_path):
    missing, open_to_all, locked, broken = (tmp_path / name for name in ("missing", "open", "locked", "broken"))
    make_key(open_to_all).chmod(0o644)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked], check=True)
    broken.write_text("no key\n")
    broken.chmod(0o600)
    for identity in (missing, open_to_all, locked, broken):
        target = make_target(identity=identity)
        with pytest.raises(AuthenticationError) as caught, sftp.connect(target, target.known_hosts):
            pass
        assert str(identity) in str(caught.value)
    assert offsite.connections_seen() == 0


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_identities_of_other_kinds_log_in(offsite, make_target, tmp_path, kind):
    identity = tmp_path / kind
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", identity], check=True)
    with (offsite.files / "authorized_keys").open("a") as stream:
        stream.write(identity.with_name(f"{kind}.pub").read_text())
    target = make_target(identity=identity)
    with sftp.connect(target, target.known_hosts) as session:
        assert session.names(".") == []


# -- the line


def test_a_closed_port_a_stopped_server_and_an_unknown_name_are_unreachable(offsite, target, make_target):
    offsite.stop()
    with pytest.raises(UnreachableError), sftp.connect(target, target.known_hosts):
        pass
    with pytest.raises(UnreachableError):
        sftp.fetch_host_key("no-such-host.invalid")


def test_a_server_that_says_nothing_is_unreachable_in_time(make_target, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = make_target(port=silent.getsockname()[1])
        pins = tmp_path / "pins"
        sftp.trust(pins, target.host, target.port, [KEY])
        with pytest.raises(UnreachableError), sftp.connect(target, pins, SHORT):
            pass
        with pytest.raises(UnreachableError):
            sftp.fetch_host_key(target.host, target.port, SHORT)


def test_a_frozen_server_is_unreachable_in_time(offsite, target):
    with sftp.connect(target, target.known_hosts, SHORT) as session:
        assert session.exists(".")
        offsite.freeze(listener=True)
        with pytest.raises(UnreachableError):
            session.exists(".")
    with pytest.raises(UnreachableError), sftp.connect(target, target.known_hosts, SHORT):
        pass
    offsite.thaw()
    with sftp.connect(target, target.known_hosts) as session:
        assert session.exists(".")


def test_a_server_frozen_at_any_point_of_the_login_never_hangs_us(offsite, target):
    for pause in (0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2):
        freezer = threading.Timer(pause, offsite.freeze)
        freezer.start()
        try:
            with sftp.connect(target, target.known_hosts, SHORT) as session:
                session.names(".")
        except UnreachableError:
            pass
        finally:
            freezer.join()
            offsite.thaw()
            offsite.cut()


def test_a_line_that_is_cut_is_unreachable(offsite, target):
    with sftp.connect(target, target.known_hosts) as session:
        assert session.exists(".")
        offsite.cut()
        with pytest.raises(UnreachableError):
            session.put("file", b"content")
    assert not (offsite.root / "file").exists()


def test_no_thread_is_left_after_a_session_or_a_failure(offsite, target):
    before = threading.active_count()
    with sftp.connect(target, target.known_hosts) as session:
        session.exists(".")
    offsite.rekey()
    with pytest.raises(HostKeyError), sftp.connect(target, target.known_hosts):
        pass
    deadline = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- files


def test_small_files_are_put_whole_read_listed_and_removed(offsite, target):
    with sftp.connect(target, target.known_hosts) as session:
        session.put("a file", b"first")
        session.put("a file", b"second")
        assert session.get("a file") == b"second"
        assert session.names(".") == ["a file"], "nothing temporary is left"
        with pytest.raises(RepositoryError):
            session.get("a file", limit=3)
        session.remove("a file")
        session.remove("a file")
        with pytest.raises(FileNotFoundError):
            session.get("a file")
        assert session.names("no folder") == []
        with pytest.raises(FileNotFoundError):
            session.put("no folder/file", b"")


def test_a_preflight_finds_the_nearest_folder_room_clock_and_right_to_write(offsite, make_target):
    target = make_target(path="deep/er/repo with blank")
    seen = sftp.preflight(target, target.known_hosts)
    assert (seen.folder, seen.folder_exists, seen.repository_exists, seen.writable) == (".", False, False, True)
    assert seen.clock_skew is not None and abs(seen.clock_skew) < 60
    room = os.statvfs(offsite.root)
    assert seen.space is not None and not seen.space.read_only
    assert seen.space.total == room.f_blocks * room.f_frsize
    assert list(offsite.root.iterdir()) == [], "the probe file is gone"
    (offsite.root / "deep" / "er" / "repo with blank").mkdir(parents=True)
    (offsite.root / "deep" / "er" / "repo with blank" / "config").touch()
    seen = sftp.preflight(target, target.known_hosts)
    assert (seen.folder, seen.folder_exists, seen.repository_exists) == (target.path, True, True)


def test_a_preflight_takes_absolute_paths(offsite, make_target):
    target = make_target(path=f"{offsite.root}/absolute/")
    (offsite.root / "absolute").mkdir()
    assert sftp.preflight(target, target.known_hosts).folder_exists


def test_a_read_only_server_is_told_by_the_preflight(tmp_path, make_target):
    with OffsiteServer(tmp_path / "read-only", read_only=True) as server:
        target = make_target(server)
        seen = sftp.preflight(target, target.known_hosts)
        assert not seen.writable and isinstance(seen.write_error, TargetReadOnlyError)
        assert seen.clock_skew is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_told_by_the_preflight(offsite, make_target):
    target = make_target()
    (offsite.root / "repo").mkdir(mode=0o500)
    assert isinstance(sftp.preflight(target, target.known_hosts).write_error, TargetReadOnlyError)


def test_paramiko_is_loaded_only_when_it_is_used():
    script = "import sys, vaultd.sftp; sys.exit('paramiko' in sys.modules or 'cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


KEY = sftp.HostKey("ssh-ed25519", base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(32)).decode())
