"""What `make setup` takes from the machine it runs on: Debian's own mirror, and a restic that is new enough."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

CI = Path(__file__).parent.parent / ".ci"


def load_mirror() -> ModuleType:
    spec = importlib.util.spec_from_file_location("debian_mirror", CI / "debian_mirror.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["debian_mirror"] = module  # dataclasses looks its module up there
    spec.loader.exec_module(module)
    return module


mirror = load_mirror()


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    for name in ("debian-archive-keyring.gpg", "other.gpg"):
        (tmp_path / name).touch()
    return tmp_path


def found(etc: Path) -> list[tuple[str, str]]:
    rows = mirror.candidates(mirror.configured(etc), (str(etc / "debian-archive-keyring.gpg"),))
    return [(uri, Path(keyring).name) for uri, keyring in rows]


def test_classic_list_leaves_out_what_is_not_debian_itself(etc: Path) -> None:
    (etc / "sources.list").write_text(
        "# deb http://commented.test/debian bookworm main\n"
        "deb cdrom:[Debian]/ bookworm main\n"
        f"deb [arch=amd64 signed-by={etc}/other.gpg] https://third.test/apt bookworm main\n"
        "deb-src http://source.test/debian bookworm main\n"
        "deb http://security.test/debian-security bookworm-security main\n"
        "deb [ arch=amd64 ] http://own.test/debian bookworm main contrib # ours\n"
    )
    assert found(etc) == [("http://own.test/debian/", "debian-archive-keyring.gpg")]


def test_deb822_with_several_stanzas_folded_fields_and_one_switched_off(etc: Path) -> None:
    (etc / "sources.list.d" / "debian.sources").write_text(
        "# by hand\nTypes: deb\nEnabled: no\nURIs: http://off.test/debian\nSuites: trixie\nComponents: main\n"
        "\n"
        "Types: deb deb-src\nURIs: http://one.test/debian/\n  http://two.test/pub\nSuites: trixie trixie-updates\n"
        f"# between\nComponents: main\nSigned-By:\n {etc}/debian-archive-keyring.gpg\n"
    )
    key = "debian-archive-keyring.gpg"
    assert found(etc) == [("http://one.test/debian/", key), ("http://two.test/pub/", key)]


def test_what_names_debians_key_comes_before_what_only_looks_like_debian(etc: Path) -> None:
    (etc / "sources.list").write_text(
        f"deb [signed-by={etc}/other.gpg] http://company.test/debian bookworm main\n"
        f"deb [signed-by={etc}/debian-archive-keyring.gpg] http://debian.test/mirror bookworm main\n"
    )
    assert found(etc) == [
        ("http://debian.test/mirror/", "debian-archive-keyring.gpg"),
        ("http://company.test/debian/", "other.gpg"),
    ]


def test_no_keyring_means_no_mirror(etc: Path) -> None:
    (etc / "sources.list").write_text("deb http://own.test/debian bookworm main\n")
    assert mirror.candidates(mirror.configured(etc), (str(etc / "absent.gpg"),)) == []


def fetch_restic(checkout: Path, version: str) -> subprocess.CompletedProcess[str]:
    """Run fetch-restic in an empty checkout, on a machine without apt whose restic has this version."""
    shutil.copytree(CI, checkout / ".ci")
    programs = checkout / "bin"
    programs.mkdir()
    for name in ("bash", "sh", "dirname", "sed", "head", "sort", "mkdir", "ln"):
        (programs / name).symlink_to(str(shutil.which(name)))
    restic = programs / "restic"
    restic.write_text(f'#!/bin/sh\necho "restic {version} compiled with go1.24.4 on linux/amd64"\n')
    restic.chmod(0o755)
    command = [str(programs / "bash"), str(checkout / ".ci" / "fetch-restic")]
    return subprocess.run(
        command, env={**os.environ, "PATH": str(programs)}, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("version", ["0.18.0", "0.18.1", "0.100.0", "1.0.0"])
def test_a_new_enough_restic_of_the_system_is_linked(tmp_path: Path, version: str) -> None:
    done = fetch_restic(tmp_path, version)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".tools" / "bin" / "restic").resolve() == tmp_path / "bin" / "restic"


@pytest.mark.parametrize("version", ["0.9.6", "0.14.0", "0.17.3"])
def test_an_older_one_is_not_and_the_message_says_what_to_do(tmp_path: Path, version: str) -> None:
    done = fetch_restic(tmp_path, version)
    assert done.returncode == 1
    assert not (tmp_path / ".tools" / "bin" / "restic").exists()
    first, second = done.stderr.splitlines()
    assert first.startswith("vaultd setup: no restic 0.18.0 or newer: apt-get is missing")
    assert second.startswith("hint: install restic 0.18.0 or newer")
