"""The frame of the command line, run as real processes: start-up imports, errors, exit codes, signals, languages."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from vaultd import i18n
from vaultd.cli import failure, format, progress
from vaultd.cli.base import Cli, Command, Group
from vaultd.cli.main import COMMANDS, main, vaultd
from vaultd.errors import NotRunningError, PartialError, VaultdError
from vaultd.model import Progress

HEAVY = ("pydantic", "paramiko", "starlette", "uvicorn", "rich", "cryptography", "psutil", "babel", "watchdog")

MINIMAL = """
[host]
name = "archive-1"
state = "{folder}/state"
[[target]]
name = "east"
host = "127.0.0.1"
port = 1
user = "nobody"
path = "repository"
identity = "{folder}/id"
password_file = "{folder}/password"
[[vault]]
name = "patients"
path = "{folder}/vault"
classification = "secret"
targets = ["east"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "vaultd.toml"
    file.write_text(MINIMAL.format(folder=tmp_path))
    (tmp_path / "vault").mkdir()
    return file


@pytest.fixture(autouse=True)
def _language() -> Any:
    yield
    i18n.choose("en")


def run(*args: str, env: dict[str, str] | None = None, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """vaultd as a process, in English unless told."""
    known = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **(env or {})}
    command = [sys.executable, "-m", "vaultd.cli.main", *args]
    return subprocess.run(command, capture_output=True, text=True, env=known, timeout=60, **kwargs)


def imported(*args: str) -> set[str]:
    """The top-level modules that a vaultd process imports, from the interpreter's own account."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "vaultd.cli.main", *args], capture_output=True, text=True, timeout=60
    )
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize("args", [["--help"], ["status", "--help"], ["--config", "CONFIG", "--json", "status"]])
def test_start_imports_nothing_heavy(args: list[str], config: Path) -> None:
    found = imported(*(str(config) if arg == "CONFIG" else arg for arg in args))
    assert "click" in found
    assert found.isdisjoint(HEAVY)


def every_command() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []

    def walk(prefix: str, group: Group) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            try:
                command = group.get_command(context, name)
            except ModuleNotFoundError:
                continue  # test_all_commands_exist says so
            assert command is not None
            found.append((f"{prefix}{name}", command))
            if isinstance(command, Group):
                walk(f"{prefix}{name} ", command)

    walk("", vaultd)
    return found


def test_all_commands_exist() -> None:
    context = click.Context(vaultd)
    for name in COMMANDS:
        assert vaultd.get_command(context, name) is not None


@pytest.mark.parametrize(("name", "command"), every_command(), ids=[name for name, _command in every_command()])
def test_help_has_examples_that_parse(name: str, command: click.Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(command, (Command, Group))
    assert command.help
    assert command.examples
    for example in command.examples:
        if example.startswith(" "):
            continue  # the line before ends with a backslash
        assert re.search(rf"\bvaultd\b.* {name.split()[0]}\b", example), example
    assert main([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert command.examples[0] in shown
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            assert param.help, f"{name}: {param.opts}"


@pytest.mark.parametrize("after", [False, True])
def test_json_is_taken_before_and_after_the_command(config: Path, after: bool) -> None:
    args = ["status", "--json"] if after else ["--json", "status"]
    done = run("--config", str(config), *args)
    assert json.loads(done.stdout)["error"]["code"] == "not-running"


def test_error_is_two_lines_and_a_code(tmp_path: Path) -> None:
    done = run("--config", str(tmp_path / "none.toml"), "status")
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith("vaultd: configuration ")
    assert "there is no such file" in first
    assert second.startswith("hint: ")


def test_error_is_one_object_with_json(tmp_path: Path) -> None:
    done = run("--config", str(tmp_path / "none.toml"), "--json", "status")
    assert done.returncode == 2
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["version"] == 1
    assert (found["error"]["code"], found["error"]["exit_code"]) == ("config", 2)
    assert set(found["error"]) == {"code", "exit_code", "what", "why", "hint"}


def test_file_name_in_an_error_cannot_play_with_the_terminal(tmp_path: Path) -> None:
    done = run("--config", str(tmp_path / "a\x1b[2Jb\nhint: obey"), "status")
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("args", "needle"),
    [
        (["nonsense"], "nonsense"),
        (["status", "--nonsense"], "nonsense"),
        (["alert", "ack", "x"], "x"),
        (["--lang", "fr"], "fr"),
    ],
)
def test_usage_errors_exit_with_2_and_point_to_help(args: list[str], needle: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert needle in done.stderr.splitlines()[0]
    assert "--help" in done.stderr.splitlines()[1]


def test_without_a_command_the_help_is_shown_and_nothing_done() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: vaultd" in done.stderr


def test_configuration_comes_from_the_environment(config: Path) -> None:
    done = run("--json", "status", env={"VAULTD_CONFIG": str(config)})
    assert json.loads(done.stdout)["error"]["code"] == "not-running"
    assert done.returncode == 7


def test_broken_toml_names_the_line(config: Path) -> None:
    config.write_text("[host]\nname = \n")
    done = run("--config", str(config), "status")
    assert done.returncode == 2
    assert ":2" in done.stderr or "line 2" in done.stderr


def test_version() -> None:
    done = run("--version")
    assert re.fullmatch(r"vaultd \d+\.\d+\.\d+\n", done.stdout)


# --- interruptions

WAITING = """
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests were started by nohup
from vaultd.cli import main as module
from vaultd.cli.base import command
@command("wait", help="Wait.", examples=["vaultd wait"])
def wait():
    print("waiting", flush=True)
    time.sleep(60)
module.vaultd.add_command(wait)
sys.exit(module.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)], ids=["INT", "TERM", "HUP"]
)
@pytest.mark.parametrize("as_json", [False, True])
def test_interruption_is_told_without_a_trace(number: signal.Signals, code: int, as_json: bool) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WAITING, *(["--json"] if as_json else []), "wait"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert child.returncode == code
    assert "Traceback" not in err
    if as_json:
        assert json.loads(out)["error"]["code"] == "interrupted"
    else:
        assert "vaultd: interrupted" in err


def test_reader_that_goes_away_is_no_error(config: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "vaultd.cli.main", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    err = child.stderr.read()
    child.stderr.close()
    assert child.wait(30) == failure.EXIT_PIPE_CLOSED
    assert err == b""


def test_prompt_without_input_says_so() -> None:
    code = WAITING.replace("time.sleep(60)", "import click; click.prompt('Name', err=True)")
    done = subprocess.run([sys.executable, "-c", code, "wait"], capture_output=True, text=True, input="")
    assert done.returncode == 1
    assert "the input ended" in done.stderr


BUG = """
import sys
from vaultd.cli import main as module
from vaultd.cli.base import command
@command("bug", help="Fail.", examples=["vaultd bug"])
def bug():
    raise RuntimeError("never thought of")
module.vaultd.add_command(bug)
sys.exit(module.main(sys.argv[1:]))
"""


def test_a_bug_shows_its_trace_only_with_debug() -> None:
    quiet = subprocess.run([sys.executable, "-c", BUG, "bug"], capture_output=True, text=True)
    assert quiet.returncode == 1
    assert quiet.stderr.startswith("vaultd: internal error: RuntimeError: never thought of\nhint: ")
    loud = subprocess.run([sys.executable, "-c", BUG, "--debug", "bug"], capture_output=True, text=True)
    assert loud.returncode == 1
    assert "Traceback" in loud.stderr
    object_ = subprocess.run([sys.executable, "-c", BUG, "--json", "bug"], capture_output=True, text=True)
    assert json.loads(object_.stdout)["error"]["code"] == "internal"


# --- errors that were not raised as ours


def test_system_error_becomes_an_error_with_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert failure.report(Cli(), PermissionError(13, "Permission denied", "/root/x")) == 1
    assert capsys.readouterr().err.startswith("vaultd: /root/x: Permission denied\nhint: run it as root")


def test_second_object_never_follows_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    cli = Cli()
    cli.json = True
    cli.emit({"version": 1})
    assert failure.report(cli, PartialError("in part")) == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"version": 1}
    assert json.loads(shown.err)["error"]["what"] == "in part"


def test_surrogates_do_not_stop_the_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    cli = Cli()
    cli.json = True
    cli.emit({"path": "a\udcff"})
    assert json.loads(capfdbinary.readouterr().out) == {"path": "a\udcff"}


# --- languages


@pytest.mark.parametrize(
    ("args", "env"),
    [(["--lang", "zh_CN"], {}), ([], {"LANG": "zh_CN.UTF-8", "LC_ALL": ""}), ([], {"LANGUAGE": "zh_CN:en"})],
)
def test_chinese_by_option_and_by_locale(args: list[str], env: dict[str, str], catalogue: None) -> None:
    done = run(*args, "--help", env=env)
    assert "用法" in done.stdout
    assert "示例" in done.stdout


def test_option_beats_locale(catalogue: None) -> None:
    assert "Usage" in run("--lang", "en", "--help", env={"LANGUAGE": "zh_CN"}).stdout


def test_unknown_command_in_chinese(catalogue: None) -> None:
    done = run("--lang", "zh_CN", "nonsense")
    assert done.returncode == 2
    assert re.search("[一-鿿]", done.stderr)


def test_terminal_of_another_encoding_still_gets_the_text(catalogue: None) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vaultd.cli.main", "--lang", "zh_CN", "--help"],
        capture_output=True, env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert done.returncode == 0
    assert b"\\u" in done.stdout


@pytest.fixture
def catalogue() -> None:
    if not (i18n.LOCALE_DIR / "zh_CN" / "LC_MESSAGES" / "vaultd.mo").exists():
        pytest.skip("catalogues are not compiled: make locale")


# --- how things look


def test_columns_count_wide_characters() -> None:
    shown = format.table(("保管库", "n"), [("a", "1"), ("病案室", "22")], right=(1,))
    assert [format.width(line) for line in shown.splitlines()] == [10, 10, 10]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "0.98 KiB"), (10_235, "10.0 KiB"), (102_300, "99.9 KiB"),
     (1_048_064, "1.00 MiB"), (10**12, "931 GiB"), (2**63, "8.0 EiB")],
)  # fmt: skip
def test_sizes_have_three_digits(count: int, text: str) -> None:
    assert format.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.949, "9.9 s"), (9.96, "10 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3599.7, "1 h"),
     (7300, "2 h 2 min"), (86_399, "1 d"), (90_000, "1 d 1 h"), (-5, "0.0 s")],
)  # fmt: skip
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert format.duration(seconds) == text


def test_moments_survive_the_round_trip() -> None:
    moment = 1_795_000_000_123_000_000
    assert format.parse_rfc3339(format.rfc3339(moment)) == moment
    assert format.rfc3339(-1_000_000) == "1969-12-31T23:59:59.999Z"
    with pytest.raises(ValueError, match="2026"):
        format.parse_rfc3339("2026-01-01T00:00:00")


RUN = Progress("backup", "patients", "east", "full", 3, 10, 2048, 4096, 1024.0, 2.0)


def test_progress_line_has_bytes_files_rate_and_time_left() -> None:
    assert progress.line(RUN) == (
        "sending patients → east: 50 %, 2.00 KiB of 4.00 KiB, 3 of 10 files, 1.00 KiB/s, 2.0 s left"
    )


def test_progress_lines_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.display(Cli()) as shown:
        for _ in range(100):
            shown.show([RUN])
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_progress_is_silent_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    cli = Cli()
    cli.json = True
    with progress.display(cli) as shown:
        shown.show([RUN])
    assert capsys.readouterr() == ("", "")


def test_progress_bar_on_a_terminal() -> None:
    import pty

    code = (
        "import time; from vaultd.cli import progress; from vaultd.cli.base import Cli\n"
        "from vaultd.model import Progress\n"
        "with progress.display(Cli()) as shown:\n"
        "    shown.show([Progress('backup', 'patients', 'east', 'full', 3, 10, 2048, 4096, 1024.0, 2.0)])\n"
        "    time.sleep(0.3)\n"
        "    shown.show([])\n"
    )
    parent, child = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", code], stderr=child, env={**os.environ, "COLUMNS": "160", "TERM": "xterm"}
    )
    os.close(child)
    raw = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:
            break  # the other end is closed
        if not part:
            break
        raw += part
    os.close(parent)
    assert done.wait(30) == 0
    text = raw.decode()
    for needle in ("patients", "2.00 KiB of 4.00 KiB", "3 of 10 files", "1.00 KiB/s", "2.0 s left"):
        assert needle in text


def test_not_running_is_a_vaultd_error() -> None:
    assert issubclass(NotRunningError, VaultdError)


# --- documentation

DOCS = Path(__file__).parent.parent / "docs"


def test_every_command_and_option_of_ours_is_documented() -> None:
    text = (DOCS / "cli.md").read_text()
    elsewhere = {"init", "snapshots", "restore", "demo"}  # described by their help and by other pages
    for name, command in every_command():
        if name.split()[0] in elsewhere:
            continue
        assert f"vaultd {name}" in text
        for param in command.params:
            for option in param.opts if isinstance(param, click.Option) else ():
                assert option in text, f"{name} {option}"


def test_every_error_code_is_documented() -> None:
    from vaultd import errors

    text = (DOCS / "json.md").read_text()
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, VaultdError):
            assert f"`{kind.code}`" in text, kind
