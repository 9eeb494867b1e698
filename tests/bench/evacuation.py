"""An evacuation: how soon it begins, and what it reaches of a line, against scp of the same bytes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench import line as bench_line
from tests.bench.bench import Bench
from tests.bench.ground import TARGET, Ground
from tests.bench.line import namespaces, server_in
from tests.bench.pull import DISKS, large
from tests.bench.rows import Figures, Part, Row, ratio
from tests.slowline import SlowLine
from vaultd.control.client import Client
from vaultd.demo.sshd import LOOPBACK
from vaultd.pull import kept
from vaultd.store.evacuations import SAFE, TierRow

MIB = 1 << 20
FILE = 4 * MIB
TIERS = {"charts": (1, 256), "labs": (2, 256), "office": (3, 512)}
"""Priority, and mebibytes at full scale."""
LINE_MBIT = 100
NEVER = {"settle": "1h", "max_delay": "1h"}


def _fill(folder: Path, size: int, name: str) -> None:
    for number in range(max(1, size // FILE)):
        (folder / f"{name} {number}").write_bytes(os.urandom(min(FILE, size)))


class Wards:
    """Three vaults under watch, all protected; what is written to them waits for an order."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.site = ground, ground.site
        self.site.vaults.clear()
        self.folders = {
            name: self.site.add_vault(name, priority=priority, **NEVER) for name, (priority, _size) in TIERS.items()
        }
        for name, folder in self.folders.items():
            (folder / "old").write_text(name)
        self.site.write()

    def start(self) -> None:
        """Until all is protected."""
        self.ground.start()
        for name in TIERS:
            for target in self.site.targets:
                self.ground.wait(lambda n=name, t=target: self._protected(n, t), f"{name} is protected")

    def _protected(self, vault: str, target: str) -> bool:
        there = self.site.at(vault, target)
        return there["owed"] == 0 and there["last_full"] is not None

    def pending(self, files: int, target: str = TARGET) -> None:
        """Until so many files are known to be pending."""
        self.ground.wait(
            lambda: sum(self.site.at(name, target)["pending_files"] for name in TIERS) >= files, "the files are noticed"
        )

    def order(self) -> dict[str, Any]:
        """By the control socket, as the command does."""
        found, _joined = Client(self.site.write().control.socket).evacuate({})
        return found

    def tiers(self, target: str = TARGET) -> list[TierRow]:
        """The tiers of the newest evacuation at a target."""
        rows = self.ground.store.tiers(self.ground.store.evacuations()[0].id)
        return [row for row in rows if row.target == target]

    def seconds(self, target: str = TARGET) -> list[float]:
        """Seconds from the order until each tier was safe, when all are."""
        self.ground.wait(
            lambda: self.tiers(target) and all(row.state == SAFE for row in self.tiers(target)), "all tiers are safe"
        )
        ordered = self.ground.store.evacuations()[0].ordered
        return [((row.safe_at or 0) - ordered) / 1e9 for row in self.tiers(target)]

    def end(self) -> None:
        """End it, and let the exact snapshots follow."""
        Client(self.site.write().control.socket).end_evacuation()


def _scp(ground: Ground, folders: list[Path], turn: str) -> float:
    repository = ground.site.repository(TARGET)
    config = repository.options[1].split("-F ")[1].strip("'")
    host = repository.url.split(":")[1]
    there = ground.server.root / "scp" / turn
    there.mkdir(parents=True)
    command = [*ground.prefix, "scp", "-q", "-F", config, "-r", *map(str, folders), f"{host}:scp/{turn}"]
    begun = time.monotonic()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    took = time.monotonic() - begun
    shutil.rmtree(there)
    return took


@contextlib.contextmanager
def _over_line(bench: Bench, name: str) -> Iterator[Wards]:
    with (
        bench.place(name) as folder,
        namespaces() as (host, far),
        bench.ground(folder / "site", prefix=("ip", "netns", "exec", host)) as ground,
    ):
        wards = Wards(ground)
        hosts = Path(str(ground.site.targets[TARGET]["known_hosts"]))
        hosts.write_text(hosts.read_text().replace(LOOPBACK, bench_line.THERE))
        ground.site.targets[TARGET]["host"] = bench_line.THERE
        ground.site.write()
        with server_in(far, ground.server):
            yield wards


def evac_line(bench: Bench) -> Figures:
    """Three tiers over a slow line."""
    figures, first, first_scp = Figures([]), list[float](), list[float]()
    before, bench_line.MBIT = bench_line.MBIT, LINE_MBIT
    try:
        with _over_line(bench, "evac-line") as wards:
            wards.start()
            for turn in range(bench.runs):
                for name, (_priority, size) in TIERS.items():
                    _fill(wards.folders[name], bench.scaled(size) * MIB, f"turn {turn}")
                os.sync()
                new = [sorted(folder.glob(f"turn {turn} *")) for folder in wards.folders.values()]
                wards.pending(sum(map(len, new)))
                wards.order()
                seconds = wards.seconds()
                wards.end()
                first.append(seconds[0])
                figures.ours.append(seconds[-1])
                batches = wards.ground.store.batches(wards.ground.store.evacuations()[0].id)
                story = ", ".join(
                    f"{row.bytes >> 20} MiB {((row.ended or 0) - row.began) / 1e9:.1f} s" for row in batches
                )
                first_scp.append(_scp(wards.ground, new[0], f"{turn}-first"))
                figures.plain.append(_scp(wards.ground, [path for tier in new for path in tier], f"{turn}-all"))
                note = f"turn {turn}: tiers safe after {', '.join(f'{one:.1f}' for one in seconds)} s; batches {story}"
                figures.notes.append(note)
                bench.tell(f"evac-line: {note}; scp {first_scp[-1]:.1f} and {figures.plain[-1]:.1f} s")
    except (OSError, subprocess.CalledProcessError) as error:
        if not figures.ours:
            return Figures([], skipped=f"no network namespaces here: {error}")
        raise
    finally:
        bench_line.MBIT = before
    figures.parts = [Part(ratio(first, first_scp), 1.15), Part(ratio(figures.ours, figures.plain), 1.1)]
    figures.notes.append("the first figure: tier 1 against scp of its bytes; the second: all of it")
    return figures


def _first_pack(data: Path, known: set[str], deadline: float) -> float:
    """When a pack's first byte has reached the server (monotonic seconds)."""
    while time.monotonic() < deadline:
        for folder in os.scandir(data):
            for entry in os.scandir(folder.path):
                if entry.name not in known and entry.stat().st_size:
                    return time.monotonic()
    raise RuntimeError("no pack has come")


def _packs(data: Path) -> set[str]:
    return {entry.name for folder in os.scandir(data) for entry in os.scandir(folder.path)}


def evac_start(bench: Bench) -> Figures:
    """From the order to the first connection, and to the first byte of a pack."""
    figures, connected = Figures([]), list[float]()
    with bench.place("evac-start") as folder, bench.ground(folder / "site") as ground:
        wards, site = Wards(ground), ground.site
        with SlowLine(ground.server.port, 1e12) as line:
            known = Path(str(site.targets[TARGET]["known_hosts"]))
            known.write_text(known.read_text() + known.read_text().replace(str(ground.server.port), str(line.port)))
            site.targets[TARGET]["port"] = line.port
            site.write()
            wards.start()
            ours, plain = ground.server.root / "repo" / "data", ground.server.root / "plain" / "data"
            ground.vault = wards.folders["charts"]
            ground.plain()
            for turn in range(bench.runs):
                _fill(wards.folders["charts"], 16 * MIB, f"turn {turn}")
                wards.pending(4)
                there, begun = _packs(ours), time.monotonic()
                wards.order()
                figures.ours.append(_first_pack(ours, there, begun + 60) - begun)
                connected.append(line.connected - begun)
                wards.seconds()
                wards.end()
                ground.wait(lambda: not ground.store.runs(state="running"), "no run is left")
                figures.plain.append(_plain_start(ground, plain))
                told = f"connected after {connected[-1]:.2f} s, first byte after {figures.ours[-1]:.2f} s"
                bench.tell(f"evac-start: {told}; plain {figures.plain[-1]:.2f} s")
    extra = sorted(one - two for one, two in zip(figures.ours, figures.plain, strict=True))[len(figures.ours) // 2]
    figures.parts = [Part(sorted(connected)[len(connected) // 2], 1, " s"), Part(extra, 1, " s")]
    figures.notes.append(
        "the first figure: to the connection; the second: to the first byte of a pack, less plain restic's"
    )
    return figures


def _plain_start(ground: Ground, data: Path) -> float:
    found, there = ground.site.repository(TARGET), _packs(data)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(ground.folder), "RESTIC_CACHE_DIR": str(ground.plain_cache),
        "RESTIC_REPOSITORY": found.url.removesuffix(":repo") + ":plain",
        "RESTIC_PASSWORD_FILE": str(found.password_file),
    }  # fmt: skip
    begun = time.monotonic()
    with subprocess.Popen(["restic", *found.options, "backup", str(ground.vault)], env=environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as child:  # fmt: skip
        took = _first_pack(data, there, begun + 60) - begun
        child.wait()
    return took


def evac_two(bench: Bench) -> Figures:
    """Two targets, one of them at a tenth of the rate: what that costs the fast one."""
    figures = Figures([])
    size, rate = bench.scaled(64) * MIB, 8e6
    for slow in (False, True):
        name = "plain" if not slow else "ours"
        with bench.place(f"evac-two-{name}") as folder, bench.ground(folder / "site") as ground:
            site = ground.site
            with SlowLine(ground.server.port, rate) as fast, contextlib.ExitStack() as more:
                _through(site, TARGET, ground.server.port, fast.port)
                if slow:
                    other = site.add_target("slow")
                    tenth = more.enter_context(SlowLine(other.port, rate / 10))
                    _through(site, "slow", other.port, tenth.port)
                    site.prepare()
                wards = Wards(ground)
                wards.start()
                for turn in range(bench.runs):
                    _fill(wards.folders["charts"], size, f"turn {turn}")
                    wards.pending(max(1, size // FILE))
                    wards.order()
                    (figures.ours if slow else figures.plain).append(wards.seconds()[0])
                    wards.end()
                    if slow:
                        tenth.rate = 1e12
                        ground.wait(lambda w=wards: w._protected("charts", "slow"), "the slow one has it too")
                        tenth.rate = rate / 10
                    bench.tell(f"evac-two, {'two targets' if slow else 'one target'}: {wards.tiers()[0]}")
    figures.parts = [Part(ratio(figures.ours, figures.plain), 1.05)]
    return figures


def _through(site: Any, name: str, port: int, relay: int) -> None:
    known = Path(str(site.targets[name]["known_hosts"]))
    known.write_text(known.read_text() + known.read_text().replace(str(port), str(relay)))
    site.targets[name]["port"] = relay


def evac_list(bench: Bench) -> Figures:
    """From the command to the pull list on the screen, on the largest recorded machine; a daemon runs."""
    figures = Figures([])
    with bench.place("evac-list") as folder, bench.ground(folder / "site") as ground:
        wards = Wards(ground)
        wards.start()
        for _turn in range(bench.runs):
            kept.write(ground.site.state, large(bench.scaled(DISKS, 6)))
            begun = time.monotonic()
            with subprocess.Popen(
                [sys.executable, "-m", "vaultd", "--config", str(ground.site.file), "evacuate", "start"],
                stdout=subprocess.PIPE, text=True,
            ) as child:  # fmt: skip
                assert child.stdout is not None
                text = child.stdout.readline()
                while "COPY COMPLETE" not in text and "Vaults, the most important" not in text:
                    text = child.stdout.readline()
                figures.ours.append(time.monotonic() - begun)
                child.communicate()
            wards.end()
    figures.parts = [Part(sorted(figures.ours)[len(figures.ours) // 2], 2, " s")]
    return figures


ROWS = (
    Row(
        "evac-start", "order to the first connection; and to the first byte of a pack, less plain restic's", evac_start
    ),
    Row("evac-line", f"1 GiB in three tiers over {LINE_MBIT} Mbit/s, against scp: tier 1; all", evac_line),
    Row("evac-two", "two targets, one at a tenth of the rate: the fast one against itself alone", evac_two),
    Row("evac-list", "order to the pull list on the screen, largest recorded machine", evac_list),
)
