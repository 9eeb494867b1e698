"""The line that ``kit create`` prints for authorized_keys, with a real sshd that itself forbids nothing: it lets the
kit's key read, and nothing else. The owner's key may do all of it there, or the test would show nothing."""

from __future__ import annotations

import contextlib
import hashlib
import io
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest

from tests.kitting import Kit, let_in
from tests.site import site_in, until
from vaultd.demo.offsite import OffsiteServer
from vaultd.demo.sshd import find_sshd, free_port
from vaultd.kit import making, seal, shares
from vaultd.kit.content import Content

FORBIDS = ("ForceCommand", "DisableForwarding", "PermitTTY")
"""What the tests' servers forbid everybody."""


@contextlib.contextmanager
def plain_server(server: OffsiteServer, folder: Path) -> Iterator[int]:
    """A second sshd with the same accounts and keys, set up as a distribution does: shells, terminals, forwarding."""
    port, pid_file, config = free_port(), folder / "plain.pid", folder / "plain_config"
    kept = [
        line for line in (server.files / "sshd_config").read_text().splitlines()
        if not line.startswith((*FORBIDS, "Port ", "PidFile "))
    ]  # fmt: skip
    config.write_text("\n".join([f"Port {port}", f"PidFile {pid_file}", "AllowTcpForwarding yes", *kept, ""]))
    with (folder / "plain.log").open("wb") as log:
        process = subprocess.Popen([find_sshd(), "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stderr=log)
    try:
        until(lambda: pid_file.exists() or process.poll() is not None, "sshd listens")
        assert process.poll() is None, (folder / "plain.log").read_text()
        yield port
    finally:
        process.terminate()
        process.wait()


@dataclass
class Plain:
    """The server, its repository and the kit."""

    server: OffsiteServer
    port: int
    content: Content
    folder: Path

    @property
    def repo(self) -> Path:
        return self.server.root / "repo"

    @contextlib.contextmanager
    def login(self, private: str) -> Iterator[paramiko.Transport]:
        transport = paramiko.Transport((self.server.host, self.port))
        try:
            transport.start_client(timeout=30)
            transport.auth_publickey(self.server.user, paramiko.Ed25519Key.from_private_key(io.StringIO(private)))
            yield transport
        finally:
            transport.close()

    @property
    def owner(self) -> str:
        return self.server.identity.read_text()

    @property
    def kit(self) -> str:
        return self.content.targets[0].identity

    def run(self, private: str, words: str) -> None:
        """Ask for a command, as ``ssh host words`` does."""
        with self.login(private) as transport:
            channel = transport.open_session()
            channel.settimeout(30)
            channel.exec_command(words)
            self._end(channel)

    def shell(self, private: str, words: str) -> None:
        """Ask for a shell, and type."""
        with self.login(private) as transport:
            channel = transport.open_session()
            channel.settimeout(30)
            channel.invoke_shell()
            channel.sendall(f"{words}\nexit\n".encode())
            self._end(channel)

    def _end(self, channel: paramiko.Channel) -> None:
        channel.shutdown_write()
        with contextlib.suppress(TimeoutError):
            while channel.recv(4096):
                pass
        channel.recv_exit_status()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    folder = tmp_path_factory.mktemp("plain")
    with site_in(folder) as site:
        site.add_target()
        (site.add_vault() / "file").write_text("one")
        site.prepare()
        site.backup(full=True)
        kit = Kit(site, folder / "sheets", "--batch", code=3)
        let_in(site, kit.told)
        opened = seal.unseal(seal.read(kit.file.read_bytes()), shares.combine([kit.share(one) for one in (1, 2, 3)]))
        server = site.servers["offsite"]
        with plain_server(server, folder) as port:
            yield Plain(server, port, opened, folder)


def state_of(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every path with its mode, time and content."""
    return {
        str(path): (
            path.lstat().st_mode, path.lstat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }  # fmt: skip


def test_the_kits_key_reads_the_repository(plain: Plain) -> None:
    with plain.login(plain.kit) as transport:
        sftp = paramiko.SFTPClient.from_transport(transport)
        assert sftp is not None
        with sftp.open(str(plain.repo / "config"), "rb") as stream:
            assert stream.read() == (plain.repo / "config").read_bytes()
        assert sorted(sftp.listdir(str(plain.repo))) == sorted(path.name for path in plain.repo.iterdir())
    # And restic does, with nothing but the kit.
    (target,) = plain.content.targets
    there = target.model_copy(update={"port": plain.port, "path": str(plain.repo)})
    assert making.try_out(plain.content.model_copy(update={"targets": [there]})) == {"offsite": None}


def _hard_link(sftp: paramiko.SFTPClient, old: str, new: str) -> None:
    sftp._request(paramiko.sftp.CMD_EXTENDED, "hardlink@openssh.com", old, new)  # type: ignore[attr-defined]


WRITES: dict[str, Callable[[paramiko.SFTPClient, Path], object]] = {
    "create": lambda sftp, repo: sftp.open(str(repo / "new"), "w").write(b"x"),
    "overwrite": lambda sftp, repo: sftp.open(str(repo / "config"), "r+").write(b"x"),
    "append": lambda sftp, repo: sftp.open(str(repo / "config"), "a").write(b"x"),
    "truncate": lambda sftp, repo: sftp.truncate(str(repo / "config"), 0),
    "remove": lambda sftp, repo: sftp.remove(str(repo / "config")),
    "rename": lambda sftp, repo: sftp.rename(str(repo / "config"), str(repo / "moved")),
    "rename over": lambda sftp, repo: sftp.posix_rename(str(repo / "config"), str(repo / "README")),
    "make a folder": lambda sftp, repo: sftp.mkdir(str(repo / "folder")),
    "remove a folder": lambda sftp, repo: sftp.rmdir(str(repo / "locks")),
    "symbolic link": lambda sftp, repo: sftp.symlink("config", str(repo / "link")),
    "hard link": lambda sftp, repo: _hard_link(sftp, str(repo / "config"), str(repo / "hard")),
    "mode": lambda sftp, repo: sftp.chmod(str(repo / "config"), 0o777),
    "time": lambda sftp, repo: sftp.utime(str(repo / "config"), (1, 1)),
}


@pytest.mark.parametrize("what", WRITES)
def test_whatever_changes_something_is_refused(plain: Plain, what: str) -> None:
    before = state_of(plain.server.root)
    with plain.login(plain.kit) as transport:
        sftp = paramiko.SFTPClient.from_transport(transport)
        assert sftp is not None
        with pytest.raises(OSError, match=r"[Pp]ermission"):
            WRITES[what](sftp, plain.repo)
    assert state_of(plain.server.root) == before
    # The owner's key may: on a copy.
    copy = plain.folder / f"copy {what}"
    copy.mkdir()
    (copy / "config").write_bytes(b"content")
    (copy / "locks").mkdir()
    was = state_of(copy)
    with plain.login(plain.owner) as transport:
        sftp = paramiko.SFTPClient.from_transport(transport)
        assert sftp is not None
        WRITES[what](sftp, copy)
    assert state_of(copy) != was


def test_no_command_runs_and_there_is_no_shell(plain: Plain) -> None:
    for ask in (plain.run, plain.shell):
        mark = plain.folder / f"mark-{ask.__name__}"
        ask(plain.kit, f"touch {mark}")
        assert not mark.exists()
        ask(plain.owner, f"touch {mark}")
        until(mark.exists, "the owner's command has run")


def test_no_terminal_and_no_forwarding(plain: Plain) -> None:
    here = (plain.server.host, plain.server.port)
    with plain.login(plain.owner) as transport:
        transport.open_session().get_pty()
        transport.open_channel("direct-tcpip", here, ("127.0.0.1", 1)).close()
        transport.cancel_port_forward("127.0.0.1", transport.request_port_forward("127.0.0.1", 0))
    with plain.login(plain.kit) as transport:
        with pytest.raises(paramiko.SSHException):
            transport.open_session().get_pty()
        with pytest.raises(paramiko.ChannelException, match="prohibited"):
            transport.open_channel("direct-tcpip", here, ("127.0.0.1", 1))
        with pytest.raises(paramiko.SSHException, match="denied"):
            transport.request_port_forward("127.0.0.1", 0)
        with pytest.raises(paramiko.SSHException):
            transport.open_session().request_x11()
