"""1 GiB over a line of 200 Mbit/s: two network namespaces, a veth pair between them, ``tc tbf`` on both ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.bench import trees
from tests.bench.bench import Bench
from tests.bench.ground import SETTLE, TARGET, Ground
from tests.bench.rows import Figures, Part, Row
from vaultd.demo import processes
from vaultd.demo.offsite import OffsiteServer
from vaultd.demo.sshd import LOOPBACK, find_sshd
from vaultd.restic.process import process_start

MBIT = 200
HERE, THERE = "10.213.77.1", "10.213.77.2"


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


@contextlib.contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Two namespaces with a slow line between them; their names. Raises CalledProcessError where that is refused."""
    host, far = f"vaultd-host-{os.getpid()}", f"vaultd-far-{os.getpid()}"
    try:
        for name in (host, far):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", host, "link", "add", "line", "type", "veth", "peer", "name", "line", "netns", far)
        for name, address in ((host, HERE), (far, THERE)):
            _ip("-n", name, "address", "add", f"{address}/30", "dev", "line")
            _ip("-n", name, "link", "set", "line", "up")
            shape = ["tbf", "rate", f"{MBIT}mbit", "burst", "256kb", "latency", "100ms"]
            command = ["tc", "-n", name, "qdisc", "add", "dev", "line", "root", *shape]
            subprocess.run(command, check=True, capture_output=True, text=True)
        yield host, far
    finally:
        for name in (host, far):
            _ip("netns", "delete", name, check=False)


@contextlib.contextmanager
def server_in(namespace: str, server: OffsiteServer) -> Iterator[None]:
    """The same server, with its keys and its port, but in a namespace and on the line's address."""
    server.stop()
    config, pid_file = server.files / "far_config", server.files / "far.pid"
    text = (server.files / "sshd_config").read_text()
    text = text.replace(f"ListenAddress {LOOPBACK}", f"ListenAddress {THERE}").replace("sshd.pid", pid_file.name)
    config.write_text(text)
    child = subprocess.Popen(
        ["ip", "netns", "exec", namespace, find_sshd(), "-D", "-f", str(config), "-E", str(server.log)],
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        while not pid_file.exists():
            if child.poll() is not None:
                raise RuntimeError(f"sshd did not start: {server.log.read_text()[-1000:]}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.02)
        yield
    finally:
        if process_start(child.pid) is not None:
            listener = psutil.Process(child.pid)
            processes.freeze([listener])
            processes.end(processes.children(listener))
            processes.end([listener])
        child.wait()


def line(bench: Bench) -> Figures:
    """A file of 1 GiB appears (by a rename) in a vault under watch: what it reaches of the line's rate."""
    size = bench.scaled(1 << 30)
    try:
        with namespaces():
            pass
    except (OSError, subprocess.CalledProcessError) as error:
        return Figures([], skipped=f"no network namespaces here: {error}")
    figures = Figures([])
    best = size * 8 / (MBIT * 1e6)
    with (
        bench.place("line") as folder,
        namespaces() as (host, far),
        bench.ground(folder / "site", prefix=("ip", "netns", "exec", host)) as ground,
    ):
        _through(ground, far, folder, size, bench, figures)
    shares = [best / seconds for seconds in figures.ours]
    others = [best / seconds for seconds in figures.plain]
    figures.parts.append(Part(100 * sorted(shares)[len(shares) // 2], 90, " %", at_least=True))
    figures.notes.append(f"plain restic reaches {100 * sorted(others)[len(others) // 2]:.1f} % of the line")
    return figures


def _through(ground: Ground, far: str, folder: Path, size: int, bench: Bench, figures: Figures) -> None:
    hosts = Path(str(ground.site.targets[TARGET]["known_hosts"]))
    hosts.write_text(hosts.read_text().replace(LOOPBACK, THERE))
    ground.site.targets[TARGET]["host"] = THERE
    (ground.vault / "first").write_text("there\n")
    ground.site.write()
    with server_in(far, ground.server):
        started = ground.start()
        ground.safe(started, "full", owed=True)
        ground.plain()
        for turn in range(bench.runs):
            trees.large_files(folder / "new", 1, size)
            os.sync()
            ground.quiet()
            shutil.move(folder / "new" / "disk-0.img", ground.vault / f"image-{turn}")
            moved = trees.change([])
            figures.ours.append(ground.safe(moved, "full", owed=True) - SETTLE)
            story = ground.story(moved)
            figures.plain.append(ground.plain())
            figures.notes.append(f"line {turn}: {story}")
            bench.tell(f"line: ours {figures.ours[-1]:.2f} s, plain {figures.plain[-1]:.2f} s; {story}")


ROWS = (Row("line", f"1 GiB over a line of {MBIT} Mbit/s: share of its rate", line),)
