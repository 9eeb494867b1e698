"""A line that breaks again and again during a first protection: it comes to its end, and little is sent twice.

Two network namespaces with a veth pair between them, ``tc tbf`` on both ends; the bytes are those that the kernel
counts on the vault's side of the line.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.bench import line as bench_line
from tests.bench.line import namespaces, server_in
from tests.hostile import MIB, HostileSite, hostile_site
from tests.mounting import needs_mounts
from vaultd.demo import processes
from vaultd.demo.offsite import OffsiteServer
from vaultd.demo.sshd import LOOPBACK


@pytest.fixture
def site(tmp_path: Path) -> Iterator[HostileSite]:
    with hostile_site(tmp_path) as made:
        yield made


class Line:
    """The slow line, and a hand that cuts every connection over it every so many seconds, or bytes that came over."""

    def __init__(self, host: str, server: OffsiteServer, *, seconds: float = 0.0, size: int = 0) -> None:
        self.host = host
        self.server = server
        self.seconds = seconds
        self.size = size
        self.cuts = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._cut, daemon=True)
        self._before = self._bytes()

    def _bytes(self) -> int:
        shown = subprocess.run(["ip", "-n", self.host, "-s", "-j", "link", "show", "line"], capture_output=True)
        (found,) = json.loads(shown.stdout)
        return int(found["stats64"]["tx"]["bytes"])

    @property
    def sent(self) -> int:
        """Bytes that have left the vault's side, headers and acknowledgements too."""
        return self._bytes() - self._before

    def _cut(self) -> None:
        last = 0
        while not self._over.wait(self.seconds or 0.05):
            with contextlib.suppress(psutil.Error, OSError, ValueError):
                listener = psutil.Process(int((self.server.files / "far.pid").read_text()))
                if self.size:
                    if (came := _received(listener.pid)) - last < self.size:
                        continue
                    last = came
                self.cuts += bool(processes.end(processes.children(listener)))

    @contextlib.contextmanager
    def breaking(self) -> Iterator[None]:
        """Cut from now on, until the end of the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()


def _received(pid: int) -> int:
    """How many bytes have come over the line, in the network namespace of a process."""
    (line,) = (one for one in Path(f"/proc/{pid}/net/dev").read_text().splitlines() if one.startswith("  line:"))
    return int(line.split()[1])


def protect_over_a_breaking_line(
    site: HostileSite, large: int, small: int, deadline: float, *, seconds: float = 0.0, cut_mib: int = 0
) -> str:
    """First protection of one large file and files of 1 MiB; what was sent, as a text."""
    vault = site.add_vault()
    size = 0
    if large:
        (vault / "large").write_bytes(os.urandom(large * MIB))
    for number in range(small):
        folder = vault / f"folder {number // 16}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}").write_bytes(os.urandom(MIB))
    size = (large + small) * MIB
    site.prepare()
    with namespaces() as (host, far), server_in(far, site.servers["offsite"]):
        known_hosts = Path(str(site.targets["offsite"]["known_hosts"]))
        known_hosts.write_text(known_hosts.read_text().replace(LOOPBACK, bench_line.THERE))
        site.targets["offsite"]["host"] = bench_line.THERE
        site.write()
        line = Line(host, site.servers["offsite"], seconds=seconds, size=cut_mib * MIB)
        with line.breaking():
            site.start(prefix=("ip", "netns", "exec", host))
            site.wait_caught_up(seconds=deadline)
        sent = line.sent
        assert site.stop() == 0
    runs = site.told()
    told = f"sent {sent / size:.2f} of {size >> 20} MiB, {line.cuts} cuts; runs:\n{runs}"
    print(told)
    assert runs.count("unreachable") >= 2, told
    assert size < sent < 2 * size, told
    assert site.locks() == []
    site.assert_restorable()
    site.assert_records_true()
    return told


@needs_mounts
def test_a_first_protection_over_a_line_that_breaks_again_and_again_sends_less_than_twice_the_bytes(
    site: HostileSite, monkeypatch: pytest.MonkeyPatch
):
    """Cut by bytes, not by the clock: what a slow machine gets through between two cuts is then no less."""
    monkeypatch.setattr(bench_line, "MBIT", 60)
    protect_over_a_breaking_line(site, 48, 48, 280, cut_mib=32)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("large", "small"), [(1023, 1), (512, 512), (0, 1024)])
@needs_mounts
def test_1_gib_over_100_mbit_cut_every_15_s_sends_less_than_twice_the_bytes(
    site: HostileSite, monkeypatch: pytest.MonkeyPatch, large: int, small: int
):
    monkeypatch.setattr(bench_line, "MBIT", 100)
    protect_over_a_breaking_line(site, large, small, 2400, seconds=15)
