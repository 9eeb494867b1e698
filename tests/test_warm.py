"""A vaultd that is forked does what one does that was started: output, exit code, environment, signals, end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import warm


@pytest.mark.parametrize("args", [["--help"], ["restore", "--nonsense"], ["--config", "/nonexistent", "status"]])
@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_it_says_what_a_new_process_says(args: list[str], language: str) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "LANGUAGE": language}
    forked = warm.run(args, env=environment)
    started = subprocess.run([sys.executable, "-m", "vaultd", *args], capture_output=True, env=environment)
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)
    assert started.stdout or started.stderr


def test_it_is_a_process_that_signals_end(tmp_path: Path) -> None:
    """A named pipe that nobody writes to holds it where it reads its configuration."""
    os.mkfifo(tmp_path / "vaultd.toml")
    with open(os.devnull, "r+b") as nothing:
        at = nothing.fileno()
        for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + signal.SIGTERM)):
            process = warm.Process(
                ["--config", str(tmp_path / "vaultd.toml"), "status"], stdin=at, stdout=at, stderr=at
            )
            opened = os.open(tmp_path / "vaultd.toml", os.O_WRONLY)  # waits for its reader
            assert process.poll() is None and psutil.pid_exists(process.pid)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
            process.send_signal(number)
            assert process.wait(60) == process.poll() == code
            os.close(opened)
            process.send_signal(signal.SIGTERM)  # nobody is there any more


def test_what_python_reads_at_its_start_is_refused() -> None:
    for name, value in (("PYTHONHASHSEED", "4711"), ("LC_ALL", "zh_CN.GB18030")):
        with pytest.raises(AssertionError, match="starts vaultd anew"):
            warm.run(["--version"], env={**os.environ, name: value})
