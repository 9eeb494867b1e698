"""What tests share: a real off-site server, a target and a configuration for it, a restic repository in a folder.

``offsite``      a running OffsiteServer (sshd) in ``tmp_path``; stopped at the end, whatever happens
``make_target``  makes a TargetConfig for it, its host key pinned; keywords change single values
``target``       such a target, named "offsite"
``config``       a Config with that target and one vault "records" (``tmp_path``/vault, empty), state in ``state``
``restic_repo``  a new repository in a local folder, as ``vaultd.restic`` takes it
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.quick_repository import quick_repository
from vaultd.config import Config, TargetConfig
from vaultd.demo.offsite import OffsiteServer
from vaultd.ledger import create
from vaultd.restic.process import Repository

# Who starts us may ignore Ctrl-C or a hang-up (a job in the background, nohup), and every process inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Where the environment forbids Python to keep what it has compiled (containers do), each of the thousands of processes
# that the tests start would compile vaultd again: up to half a second of its processor each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No test measures time, and hypothesis is not to either: on a busy machine its first draw takes a second. (With CI set
# it says so itself; what else it says there stays.)
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

SLOWEST = (
    "test_evacuation", "test_evacuate_medium", "test_warning_daemon", "test_hurry", "test_evacuation_wired",
    "test_report_evacuation_pages", "test_evacuate_package",
    "test_retain", "test_faults_crash", "test_faults_roots", "test_repair", "test_custody", "test_verify_daily",
    "test_faults_target_locks", "test_demo", "test_faults_target_line", "test_verify_command", "test_faults_files",
    "test_verify_faults", "test_faults_moments", "test_faults_files_moving", "test_faults_line", "test_dumps",
    "test_first_protection", "test_faults_target_restic", "test_restore_command", "test_host_loss", "test_publishing",
    "test_kit", "test_faults_files_unread", "test_faults_target_room", "test_kit_migrate", "test_manifest",
    "test_faults_ledger", "test_kit_making", "test_faults_target_trust", "test_faults_clock", "test_faults_burst",
    "test_drill", "test_report_pages", "test_ledger_tamper", "test_restic_ssh", "test_scan_process",
)  # fmt: skip
"""The files that take longest, longest first. A worker gets whole files (their sites are shared within one): with one
of these left for the end, three of four workers wait for it, five minutes of twenty."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))  # stable: within a file as it is written


MakeTarget = Callable[..., TargetConfig]


@pytest.fixture
def offsite(tmp_path: Path) -> Iterator[OffsiteServer]:
    server = OffsiteServer(tmp_path / "offsite")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("correct horse battery staple\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def make_target(offsite: OffsiteServer, password_file: Path, tmp_path: Path) -> MakeTarget:
    def make(server: OffsiteServer = offsite, **changes: object) -> TargetConfig:
        known_hosts = tmp_path / f"known_hosts-{server.port}"
        known_hosts.write_text(server.known_hosts_line())
        values: dict[str, object] = {
            "name": "offsite", "host": server.host, "port": server.port, "user": server.user, "path": "repo",
            "identity": server.identity, "password_file": password_file, "known_hosts": known_hosts,
        }  # fmt: skip
        return TargetConfig.model_validate({**values, **changes})

    return make


@pytest.fixture
def target(make_target: MakeTarget) -> TargetConfig:
    return make_target()


@pytest.fixture
def config(target: TargetConfig, tmp_path: Path) -> Config:
    (tmp_path / "vault").mkdir(exist_ok=True)
    vault = {"name": "records", "path": tmp_path / "vault", "classification": "secret", "targets": [target.name]}
    values = {"host": {"name": "ward", "state": tmp_path / "state"}, "vault": [vault], "file": tmp_path / "vaultd.toml"}
    made = Config.model_validate({**values, "target": [target.model_dump()]})
    create.make(made.ledger_folder, made.ledger_key, made.host.name)
    return made


@pytest.fixture
def restic_repo(tmp_path: Path, password_file: Path) -> Repository:
    repository = Repository(str(tmp_path / "repository"), password_file, tmp_path / "cache")
    quick_repository(tmp_path / "repository", password_file)
    return repository
