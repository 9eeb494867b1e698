"""The configuration: every fault is told with file, line, key, what was found and what is allowed, all at once."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd import config
from vaultd.config import duration, positions, writing
from vaultd.config.faults import shown
from vaultd.config.ledger import LedgerConfig, TimestampConfig, WitnessConfig
from vaultd.config.persons import ApprovalsConfig
from vaultd.config.retention import MaintenanceConfig, RetentionConfig
from vaultd.config.verify import VerifyConfig
from vaultd.errors import EXIT_USAGE, ConfigError

ROOT = Path(__file__).parent.parent

HOST = """\
[host]
name = "h1"
state = "/var/lib/vaultd-test"
"""
TARGET = """\
[[target]]
name = "off"
host = "backup.example.org"
user = "u"
path = "repo"
identity = "/etc/vaultd/id"
password_file = "/etc/vaultd/password"
"""
VAULT = """\
[[vault]]
name = "records"
path = "/srv/records"
classification = "secret"
targets = ["off"]
"""
GOOD = HOST + TARGET + VAULT


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "vaultd.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def faults_of(folder: Path, text: str | bytes) -> list[str]:
    """Each fault as "line key: reason"; the file's name is checked on the way."""
    path = write(folder, text)
    with pytest.raises(config.ConfigFaults) as caught:
        config.load(path)
    assert caught.value.exit_code == EXIT_USAGE
    for fault in caught.value.faults:
        assert f"{path}:{fault.line}" in str(caught.value) and fault.reason() in str(caught.value)
    return [f"{fault.line} {fault.name}: {fault.reason()}" for fault in caught.value.faults]


def test_good_file_with_defaults(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, GOOD))
    assert loaded.file == tmp_path / "vaultd.toml"
    vault, target = loaded.vault_named("records"), loaded.target_named("off")
    assert (vault.objective, vault.settle, vault.max_delay, vault.reconcile, vault.poll) == (900, 2, 10, 3600, None)
    assert (vault.priority, vault.mass_change_share, vault.mass_change_files, vault.dump) == (5, 0.3, 200, [])
    assert (target.port, target.limit_upload) == (22, None)
    assert loaded.known_hosts(target) == Path("/var/lib/vaultd-test/targets/off/known_hosts")
    assert loaded.host.cache == Path("/var/lib/vaultd-test/cache")
    assert loaded.control.socket == Path("/var/lib/vaultd-test/run/vaultd.sock")


def test_values_that_are_given_win_over_defaults(tmp_path: Path) -> None:
    text = (
        HOST + 'cache = "/var/cache/x"\nfull_seconds = "1m"\n' + TARGET + 'known_hosts = "/etc/kh"\nlimit_upload = 10\n'
    )
    text += VAULT + 'objective = 90\nsettle = 0\npoll = true\n[[vault.dump]]\nname = "db"\ncommand = ["true"]\n'
    loaded = config.load(write(tmp_path, text + '[control]\nsocket = "/run/x.sock"\ngroup = "adm"\n'))
    assert (loaded.host.cache, loaded.host.full_seconds) == (Path("/var/cache/x"), 60)
    assert loaded.known_hosts(loaded.target[0]) == Path("/etc/kh")
    assert (loaded.vault[0].objective, loaded.vault[0].settle, loaded.vault[0].poll) == (90, 0, True)
    assert (loaded.vault[0].dump[0].every, loaded.vault[0].dump[0].filename) == (86400, "db.dump")
    assert (loaded.control.socket, loaded.control.group) == (Path("/run/x.sock"), "adm")


def test_group_alone_keeps_the_default_socket(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, GOOD + '[control]\ngroup = "adm"\n'))
    assert loaded.control.socket == Path("/var/lib/vaultd-test/run/vaultd.sock")


def test_no_vault_is_enough_to_restore_on_a_new_machine(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, TARGET))
    assert loaded.vault == [] and loaded.host.name and loaded.host.state == Path("/var/lib/vaultd")


def test_unknown_names_tell_the_known_ones(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, GOOD))
    with pytest.raises(ConfigError, match="nope") as caught:
        loaded.target_named("nope")
    assert "off" in caught.value.hint
    with pytest.raises(ConfigError, match="nope") as caught:
        loaded.vault_named("nope")
    assert "records" in caught.value.hint


CASES = {case["name"]: case for case in tomllib.loads((ROOT / "tests" / "config_faults.toml").read_text())["case"]}


@pytest.mark.parametrize("name", CASES)
def test_fault_tells_line_key_found_and_allowed(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    assert case.get("old", "") in GOOD
    text = GOOD.replace(case["old"], case["new"], 1) if "old" in case else GOOD + case["append"]
    assert faults_of(tmp_path, text) == [case["fault"]]


def test_default_state_folder_in_a_vault(tmp_path: Path) -> None:
    text = '[host]\nname = "h"\n' + TARGET + VAULT.replace("/srv/records", "/var/lib")
    (fault,) = faults_of(tmp_path, text)
    assert fault.startswith('1 host.state: found "/var/lib/vaultd"; allowed: a folder outside vault "records"')


def test_all_faults_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace('"h1"', '"H 1"').replace('user = "u"\n', "").replace('"secret"', "3") + "[what]\n"
    text = text.replace('["off"]', '[\n  "off",\n  "elsewhere",\n]')
    assert [fault.split(":")[0] for fault in faults_of(tmp_path, text)] == [
        "2 host.name",
        "4 target[off].user",
        "13 vault[records].classification",
        "14 vault[records].targets[2]",
        "18 what",
    ]


def test_a_type_fault_does_not_hide_a_fault_between_tables(tmp_path: Path) -> None:
    text = GOOD.replace('path = "repo"', "path = 3") + VAULT
    lines = [fault.split(":")[0] for fault in faults_of(tmp_path, text)]
    assert lines == ["8 target[off].path", "17 vault[records].name", "18 vault[records].path"]


def test_no_target_at_all(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, HOST + VAULT)
    assert faults[0] == "1 target: found no [[target]]; allowed: at least one [[target]]: a place off-site"
    assert len(faults) == 2 and "first a [[target]]" in faults[1]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (GOOD + "x = = 1\n", 16, "Invalid value"),
        (GOOD + 'objective = "1m\n', 16, "Illegal character"),
        (GOOD.replace("[host]", "[host"), 1, "Expected"),
        (GOOD + 'name = "again"\n', 16, "Cannot overwrite"),
        (HOST + 'x = [1,\n2\n' + TARGET, 4, "Unclosed"),
        (HOST + 'x = """never closed\n' + TARGET, 4, "Unterminated"),
        ("a = " + "[" * 20000, 0, "nested"),
    ],
)  # fmt: skip
def test_broken_toml_tells_the_line(tmp_path: Path, text: str, line: int, word: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(config.ConfigFaults, match=word) as caught:
        config.load(path)
    (fault,) = caught.value.faults
    # An open bracket is told where tomllib gives up or where it was opened: both help, neither may be missing.
    assert fault.line in {line, line + 2} or "nested" in fault.reason()


def test_not_utf8_tells_the_line(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, GOOD.encode() + "# 病案\npath = '病案'\n".encode("gbk"))
    assert fault == "16 : found byte 0xb2; allowed: text in UTF-8"


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()
    assert config.load(write(tmp_path, text)).vault[0].name == "records"
    (fault,) = faults_of(tmp_path, text.replace(b'"secret"', b'"no"'))
    assert fault.startswith("14 vault[records].classification")


def test_file_missing_folder_or_huge(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file") as caught:
        config.load(tmp_path / "none.toml")
    assert "vaultd init" in caught.value.hint
    with pytest.raises(ConfigError, match="directory"):
        config.load(tmp_path)
    with pytest.raises(ConfigError, match="larger"):
        config.load(write(tmp_path, b"#" * (1 << 20) + b"\n"))


# -- folders ---------------------------------------------------------------------------------------------------------


def folder_fault(folder: Path, vault: Path, extra: str = "") -> str:
    text = GOOD.replace("/srv/records", str(vault)).replace("/var/lib/vaultd-test", str(folder / "state"))
    loaded = config.load(write(folder, text + extra))
    with pytest.raises(config.ConfigFaults) as caught:
        config.check_folders(loaded)
    (fault,) = caught.value.faults
    assert fault.name.startswith("vault[") and fault.name.endswith("].path")
    return f"{fault.line} {fault.reason()}"


def test_folder_that_is_one_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    text = GOOD.replace("/srv/records", str(tmp_path / "v"))
    config.check_folders(config.load(write(tmp_path, text)))


def test_missing_folder(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert folder_fault(tmp_path, gone) == f'13 found "{gone}"; allowed: a folder that exists; nothing is there'


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    assert folder_fault(tmp_path, tmp_path / "f").endswith("allowed: a folder; this is a file")


def test_symlinked_folder_tells_the_real_one(tmp_path: Path) -> None:
    (tmp_path / "real" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert folder_fault(tmp_path, tmp_path / "link").endswith(f"symbolic link or ..: {tmp_path / 'real'}")
    assert folder_fault(tmp_path, tmp_path / "link" / "in").endswith(f"symbolic link or ..: {tmp_path / 'real/in'}")
    assert folder_fault(tmp_path, tmp_path / "real" / ".." / "real").endswith(f"or ..: {tmp_path / 'real'}")


def test_dangling_symlink_and_loop(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "leads nowhere" in folder_fault(tmp_path, tmp_path / "dangling")
    assert "symbolic link" in folder_fault(tmp_path, tmp_path / "loop")


def test_vault_in_the_state_folder_behind_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "v" / "in").mkdir(parents=True)
    (tmp_path / "state").symlink_to(tmp_path / "v")
    assert "outside vaultd's own" in folder_fault(tmp_path, tmp_path / "v" / "in")


def test_all_folder_faults_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    second = VAULT.replace('"records"', '"b"').replace("/srv/records", str(tmp_path / "file"))
    loaded = config.load(write(tmp_path, GOOD.replace("/srv/records", str(tmp_path / "gone")) + second))
    with pytest.raises(config.ConfigFaults) as caught:
        config.check_folders(loaded)
    assert [fault.line for fault in caught.value.faults] == [13, 18]


# -- durations, values, positions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [("2s", 2), ("15m", 900), ("1h", 3600), ("1d", 86400), ("2w", 1209600), ("500ms", 0.5), ("1.5h", 5400), (7, 7),
     (0.25, 0.25)],
)  # fmt: skip
def test_duration(written: object, expected: float) -> None:
    assert duration.seconds(written) == expected
    assert duration.seconds(duration.text(expected)) == expected


NO_DURATIONS = ["", "5", "h", "-1s", "1h30m", "1 year", "１s", True, None, [], -1, 1e12, float("nan"), "99999w"]


@pytest.mark.parametrize("written", NO_DURATIONS)
def test_no_duration(written: object) -> None:
    with pytest.raises(ValueError):
        duration.seconds(written)


def test_long_and_unprintable_values_are_shown_in_one_line() -> None:
    assert shown("x" * 500).endswith("...") and len(shown("x" * 500)) == 120
    assert shown("a\x1b[2J\n") == '"a\\x1b[2J\\n"'
    assert shown([True, "病案", 1.5]) == '[true, "病案", 1.5]'


def keys_of(value: object, key: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {key}
    if isinstance(value, dict):
        found = found.union(*(keys_of(below, (*key, name)) for name, below in value.items()))
    elif isinstance(value, list):
        found = found.union(
            *(keys_of(below, (*key, index)) for index, below in enumerate(value) if isinstance(below, dict))
        )
    return found


def test_positions_of_everything_that_toml_can_write() -> None:
    text = '''\
top = 1
"quoted key"."a.b" = "x" # [not.a.header]

[ a . b ]
c = """
[no] = 'header'
d = 1
"""
list = [
  "x", # ]
  [1, 2],
]
[[v]]
name = '[[v]]'
inline = { p = 1, q.r = [ { s = 1 } ] }
[v.sub]
x = 1
[[v.d]]
x = 1
[[v.d]]
x = 2
[[v]]
[v.sub]
y = 1
[a.z]
'''
    lines = positions.lines_of(text)
    expected = {
        ("top",): 1, ("quoted key", "a.b"): 2, ("a",): 4, ("a", "b"): 4, ("a", "b", "c"): 5, ("a", "b", "list"): 9,
        ("v",): 13, ("v", 0): 13, ("v", 0, "name"): 14, ("v", 0, "inline", "q", "r", 0, "s"): 15,
        ("v", 0, "sub", "x"): 17,
        ("v", 0, "d", 0, "x"): 19, ("v", 0, "d", 1): 20, ("v", 0, "d", 1, "x"): 21, ("v", 1): 22,
        ("v", 1, "sub", "y"): 24,
        ("a", "z"): 25,
    }  # fmt: skip
    assert {key: lines[key] for key in expected} == expected
    assert set(lines) == keys_of(tomllib.loads(text))
    assert positions.line_of(lines, ("v", 1, "name")) == 22


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8), st.text(st.characters(codec="utf-8")), max_size=5
    )
)
def test_any_text_comes_back_as_it_was_written(values: dict[str, str]) -> None:
    rows = [f"{writing.toml_value(name)} = {writing.toml_value(value)}" for name, value in values.items()]
    text = "\n".join(rows)
    assert tomllib.loads(text) == values
    assert set(positions.lines_of(text)) - {()} == {(name,) for name in values}


def test_with_values_keeps_the_comments() -> None:
    text = GOOD.replace('["off"]', '[\n "off", # here\n] # there') + "# after\n#poll = false\n# last\n"
    new = writing.with_values(text, {("vault", 0, "targets"): ["a", "b"], ("vault", 0, "poll"): True})
    assert tomllib.loads(new)["vault"][0] | {"name": ""} == {
        "name": "", "path": "/srv/records", "classification": "secret", "targets": ["a", "b"], "poll": True,
    }  # fmt: skip
    assert new.endswith("# after\npoll = true\n# last\n")
    with pytest.raises(KeyError):
        writing.with_values(text, {("vault", 0, "nothing"): 1})


def test_with_table_adds_a_target(tmp_path: Path) -> None:
    text = writing.with_table(GOOD, "target", {"name": "two", "port": 22, "path": 'a"b\\c'})
    assert tomllib.loads(text)["target"][1] == {"name": "two", "port": 22, "path": 'a"b\\c'}


# -- the example -------------------------------------------------------------------------------------------------------


def test_example_loads_and_is_the_one_that_init_starts_from() -> None:
    assert config.load(ROOT / "config" / "vaultd.toml").vault[0].name == "records"
    assert writing.example() == (ROOT / "config" / "vaultd.toml").read_text("utf-8")


def test_example_shows_every_key_with_its_default(tmp_path: Path) -> None:
    """Each key of each table is there, explained above; one that is commented out has its default, where it has one."""
    full = re.sub(r"^#(\[|[a-z0-9_]+ = )", r"\1", writing.example(), flags=re.MULTILINE)
    loaded = config.load(write(tmp_path, full))
    document = tomllib.loads(full)
    tables = {
        "host": (document["host"], config.HostConfig), "target": (document["target"][0], config.TargetConfig),
        "vault": (document["vault"][0], config.VaultConfig),
        "dump": (document["vault"][0]["dump"][0], config.DumpConfig),
        "retention": (document["vault"][0]["retention"], RetentionConfig),
        "maintenance": (document["maintenance"], MaintenanceConfig),
        "control": (document["control"], config.ControlConfig), "person": (document["person"][0], config.PersonConfig),
        "ledger": (document["ledger"], LedgerConfig),
        "witness": (document["ledger"]["witness"][0], WitnessConfig),
        "timestamp": (document["ledger"]["timestamp"][0], TimestampConfig),
        "verify": (document["verify"], VerifyConfig), "approvals": (document["approvals"], ApprovalsConfig),
    }  # fmt: skip
    for name, (table, model) in tables.items():
        assert set(table) == set(model.model_fields), name
    checked = (
        (config.HostConfig, loaded.host), (config.VaultConfig, loaded.vault[0]), (LedgerConfig, loaded.ledger),
        (RetentionConfig, loaded.vault[0].retention), (MaintenanceConfig, loaded.maintenance),
        (VerifyConfig, loaded.verify), (ApprovalsConfig, loaded.approvals),
    )  # fmt: skip
    for model, table in checked:
        for key, field in model.model_fields.items():
            commented = re.search(rf"^#{key} = ", writing.example(), flags=re.MULTILINE)
            if commented and not field.is_required() and not field.default_factory and field.default is not None:
                assert getattr(table, key) == field.default, key


def test_example_is_explained_in_short_lines() -> None:
    rows = writing.example().splitlines()
    assert max(map(len, rows)) <= 120
    for above, row in itertools.pairwise(rows):
        if re.match(r"#?[a-z0-9_]+ = ", row):
            assert above.startswith(("#", "port", "host", "[[", "name")) or re.match(r"[a-z0-9_]+ = ", above), row


def test_without_a_vault_the_example_is_for_restoring(tmp_path: Path) -> None:
    text = writing.without_table(writing.example(), ("vault", 0))
    assert config.load(write(tmp_path, text)).vault == []


def test_import_of_the_command_line_s_part_is_light() -> None:
    """`vaultd status` may take 0.2 s: what it needs of this package must not bring pydantic with it."""
    code = "import vaultd.config.endpoint, sys; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ).returncode == 0
