"""The answers that `vaultd init` needs: from flags, else asked one by one, each checked as soon as it is there.

A question is tied to a key of vaultd.toml, so a flag can also be compared with a file that exists already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.errors import ConfigError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from pydantic import BaseModel

    from vaultd.config.faults import Key
    from vaultd.config.writing import Value

USUAL_STATE = "/var/lib/vaultd"

Answers = dict[str, Any]
"""Flag name (with _) -> value; None or missing when it was not given."""


@dataclass(frozen=True, slots=True)
class Question:
    """One value: its flag, the key it goes to, and the words that ask for it (empty: the default is taken unasked).

    ``default`` gets the answers so far; None means that there is no default.
    """

    flag: str
    key: Key
    ask: str
    default: Callable[[Answers], Any]


def _from_folder(answers: Answers) -> str | None:
    """A vault name made from its folder's."""
    name = re.sub(r"[^a-z0-9]+", "-", Path(answers["folder"]).name.lower()).strip("-")[:32].strip("-")
    return name or None


def _host_name(_answers: Answers) -> str:
    from vaultd.config.model import default_host_name

    return default_host_name()


def _fixed(value: Any) -> Callable[[Answers], Any]:
    return lambda _answers: value


HOST = (
    Question("host_name", ("host", "name"), N_("Name of this machine, under which its snapshots are kept"), _host_name),
    Question("state", ("host", "state"), "", _fixed(USUAL_STATE)),
    Question("cache", ("host", "cache"), "", lambda answers: _own(answers, "/var/cache/vaultd", "cache")),
    Question(
        "socket", ("control", "socket"), "", lambda answers: _own(answers, "/run/vaultd/vaultd.sock", "run/vaultd.sock")
    ),
)
TARGET = (
    Question("target", ("target", 0, "name"), "", _fixed("offsite")),
    Question("server", ("target", 0, "host"), N_("Off-site SFTP server: host name or IP address"), _fixed(None)),
    Question("port", ("target", 0, "port"), N_("Its SSH port"), _fixed(22)),
    Question("user", ("target", 0, "user"), N_("Account on the server"), _fixed("vaultd")),
    Question(
        "path",
        ("target", 0, "path"),
        N_("Folder of the repository on the server"),
        lambda answers: answers["host_name"],
    ),
    Question("identity", ("target", 0, "identity"), "", lambda answers: _key_file(answers, "key")),
    Question("password_file", ("target", 0, "password_file"), "", lambda answers: _key_file(answers, "password")),
)
VAULT = (
    Question("folder", ("vault", 0, "path"), N_("Folder to protect"), _fixed(None)),
    Question("vault", ("vault", 0, "name"), N_("Name of this vault"), _from_folder),
    Question(
        "classification", ("vault", 0, "classification"),
        N_("Classification (top-secret, secret, confidential, internal)"), _fixed("confidential"),
    ),
    Question("custodian", ("vault", 0, "custodian"), N_("Who answers for the folder"), _fixed("")),
    Question("priority", ("vault", 0, "priority"), "", _fixed(5)),
    Question("objective", ("vault", 0, "objective"), "", _fixed("15m")),
)  # fmt: skip


def collect(given: Answers, config_file: Path, *, ask: bool, without_vault: bool) -> Answers:
    """All answers. Raises ConfigError for a flag that is wrong, and one that names every flag that is missing."""
    answers: Answers = {"config_file": config_file}
    missing: list[str] = []
    for question in (*HOST, *TARGET, *(() if without_vault else VAULT)):
        value = given.get(question.flag)
        if value is not None:
            _refuse(question, value)
        elif question.flag == "vault" and "folder" not in answers:
            continue  # its name comes from the folder, and that is asked for already
        else:
            value = question.default(answers)
            if ask and question.ask:
                value = _prompt(question, value)
            elif value is None:
                missing.append(flag_of(question))
                continue
        answers[question.flag] = value
    if missing:
        hint = _("or leave out --batch and --json, and you will be asked")
        raise ConfigError(_("something is missing"), _("give {flags}").format(flags=", ".join(missing)), hint)
    return answers


def _refuse(question: Question, value: Any) -> None:
    problem = refusal(question, value)
    if problem:
        why = _("found {found}; allowed: {allowed}").format(found=value, allowed=problem)
        raise ConfigError(flag_of(question), why, _("see `{command} --help`").format(command="vaultd init"))


def as_values(answers: Answers) -> Mapping[Key, Value]:
    """The answers by their keys in vaultd.toml."""
    values = {question.key: answers[question.flag] for question in (*HOST, *TARGET, *VAULT) if question.flag in answers}
    if "vault" in answers:
        values["vault", 0, "targets"] = [answers["target"]]
    return values


def flag_of(question: Question) -> str:
    """``--host-name``."""
    return "--" + question.flag.replace("_", "-")


def refusal(question: Question, value: Any) -> str:
    """What is allowed instead of a value; empty when it is fine."""
    from vaultd.config.folders import folder_problem
    from vaultd.config.reading import refusal as refusal_of_field

    problem = refusal_of_field(_model(str(question.key[0])), str(question.key[-1]), value)
    if not problem and question.flag == "folder":
        found = folder_problem(Path(value))
        problem = found[1] if found else ""
    return problem


def _model(table: str) -> type[BaseModel]:
    from vaultd import config

    models: dict[str, type[BaseModel]] = {
        "host": config.HostConfig, "target": config.TargetConfig, "vault": config.VaultConfig,
        "control": config.ControlConfig,
    }  # fmt: skip
    return models[table]


def _prompt(question: Question, default: Any) -> Any:
    def check(text: str) -> Any:
        value: Any = text
        if isinstance(default, int):
            if not text.isascii() or not text.isdigit():
                raise click.UsageError(_("a whole number"))
            value = int(text)
        problem = refusal(question, value)
        if problem:
            raise click.UsageError(problem)
        return value

    return click.prompt(
        _(question.ask),
        default=None if default is None else str(default),
        value_proc=check,
        show_default=default != "",
        err=True,
    )  # fmt: skip


def _own(answers: Answers, usual: str, below: str) -> str:
    """The usual place with the usual state folder, else one below the state folder."""
    state = Path(answers["state"])
    return usual if state == Path(USUAL_STATE) else str(state / below)


def _key_file(answers: Answers, ending: str) -> str:
    return str(answers["config_file"].parent / "keys" / f"{answers['target']}.{ending}")
