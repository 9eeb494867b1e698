"""``vaultd media destroy request|approve|execute|certificate|show``. vaultd records destruction; it erases nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.media.destruction import Case

SANITIZATIONS = ("clear", "purge", "destroy")


@group(
    "destroy",
    help=N_(
        "Destruction in its steps: request, the approvals that the configuration names, execution with two witnesses, "
        "certificate. vaultd records it; it never erases a device itself."
    ),
    examples=[
        "vaultd media destroy request M-2026-00017 --by 张伟 --reason 保密期满 --sanitization destroy --method 粉碎",
        "vaultd media destroy approve D-2026-001 --level 1 --by 王芳 --key /root/wang.pub",
    ],
)
def destroy_group() -> None:
    """Only a name for its commands."""


@destroy_group.command_of(
    "request",
    help=N_("Ask for media to be destroyed: a list. They must be deposited, and stay where they are until it is done."),
    examples=["vaultd media destroy request M-2026-00017 --by 张伟 --reason 期满 --sanitization destroy --method 粉碎"],
)
@click.argument("labels", metavar="LABEL...", nargs=-1, required=True)
@click.option("--by", required=True, metavar="NAME", help=N_("Who asks for it."))
@click.option("--reason", required=True, metavar="TEXT", help=N_("Why."))
@click.option("--sanitization", required=True, type=click.Choice(SANITIZATIONS), help=N_("NIST SP 800-88: how far."))
@click.option("--method", required=True, metavar="TEXT", help=N_("How, such as degauss and shred."))
@click.option("--list", "list_number", default="", metavar="NUMBER", help=N_("The list's number [default: the next]"))
@common.time_option
@common.signing_options
@pass_cli
def request_command(
    cli: Cli, labels: tuple[str, ...], by: str, reason: str, sanitization: str, method: str, list_number: str,
    time_text: str | None, keys: tuple[str, ...], sheet: str,
) -> int:  # fmt: skip
    """Put the list on record."""
    from vaultd.media import destruction

    wish = destruction.Request(
        labels, by, reason, sanitization, method, list_number, common.moment_of(time_text), common.means(keys, sheet)
    )  # fmt: skip
    with common.opened(cli) as register:
        done = destruction.request(register, wish)
        case = destruction.find(register, _number_of(register.store.media_event(done.event)))
    _tell(cli, case)
    return EXIT_DONE


def _number_of(event: Any) -> str:
    import json

    return str(json.loads(event.statement)["number"])


@destroy_group.command_of(
    "approve",
    help=N_("Approve a list at a level: in order, each by somebody with the level's role, and nobody twice."),
    examples=[
        "vaultd media destroy approve D-2026-001 --level 1 --by 王芳 --key /root/wang.pub",
        "vaultd media destroy approve D-2026-001 --level 2 --by 赵主任 --sheet 2026-52",
    ],
)
@click.argument("number", metavar="LIST")
@click.option("--level", type=int, required=True, help=N_("Which approval, from 1 on."))
@click.option("--by", "person", required=True, metavar="NAME", help=N_("Who approves it."))
@click.option("--key", metavar="FILE", type=click.Path(path_type=Path), help=N_("Their private SSH key, or its .pub."))
@click.option("--signature", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help=N_("What ssh-keygen -Y sign wrote."))  # fmt: skip
@click.option("--sheet", default="", metavar="NUMBER", help=N_("The sheet of paper that they have signed."))
@pass_cli
def approve_command(
    cli: Cli, number: str, level: int, person: str, key: Path | None, signature: Path | None, sheet: str
) -> int:
    """Sign the request."""
    from vaultd.cli.media_sign import signer
    from vaultd.media import destruction

    with common.opened(cli) as register:
        destruction.approve(register, number, level, person, signer(register, person, key, signature, sheet))
        case = destruction.find(register, number)
    _tell(cli, case)
    return EXIT_DONE


@destroy_group.command_of(
    "execute",
    help=N_("Put on record that it was done: by whom, before which two witnesses, where, with what, how verified."),
    examples=[
        "vaultd media destroy execute D-2026-001 --by 张伟 --witness 李娜 --witness 陈刚 --place 销毁中心 \\",
        "    --tool HSM-20 --tool-version 2.1 --verification 逐件检查 --verified-by 李娜 --destination 回收厂",
    ],
)
@click.argument("number", metavar="LIST")
@click.option("--by", required=True, metavar="NAME", help=N_("Who did it."))
@click.option("--witness", "witnesses", multiple=True, required=True, metavar="NAME", help=N_("Two witnesses."))
@click.option("--place", required=True, metavar="PLACE", help=N_("Where."))
@click.option("--method", default="", metavar="TEXT", help=N_("How [default: as requested]"))
@click.option("--tool", required=True, metavar="TEXT", help=N_("The tool or machine."))
@click.option("--tool-version", default="", metavar="TEXT", help=N_("Its version."))
@click.option("--verification", required=True, metavar="TEXT", help=N_("How it was verified: all, or samples."))
@click.option("--verified-by", required=True, metavar="NAME", help=N_("Who has verified it."))
@click.option("--destination", required=True, metavar="TEXT", help=N_("Where what is left goes."))
@click.option("--backup", default="", metavar="TEXT", help=N_("Whether and where the data is kept on."))
@common.time_option
@common.signing_options
@pass_cli
def execute_command(
    cli: Cli, number: str, time_text: str | None, keys: tuple[str, ...], sheet: str, **values: Any
) -> int:
    """Put it on record."""
    from vaultd.media import destruction

    wish = destruction.Execution(
        number, moment=common.moment_of(time_text), means=common.means(keys, sheet), **values
    )  # fmt: skip
    with common.opened(cli) as register:
        destruction.execute(register, wish)
        case = destruction.find(register, number)
    _tell(cli, case)
    return EXIT_DONE


@destroy_group.command_of(
    "certificate",
    help=N_(
        "Write the certificate as PDF, when nobody owes a signature any more. It is made once; its SHA-256 is on "
        "record, and it is kept with the state and its copies off-site."
    ),
    examples=["vaultd media destroy certificate D-2026-001 --out D-2026-001.pdf"],
)
@click.argument("number", metavar="LIST")
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("The PDF; it is not overwritten."))  # fmt: skip
@pass_cli
def certificate_command(cli: Cli, number: str, out: Path) -> int:
    """Make it, or write it again."""
    from vaultd import files
    from vaultd.media import certifying

    if out.exists():
        raise ConfigError(_("--out {file}").format(file=display(out)), _("there is something already"))
    if not out.absolute().parent.is_dir():
        raise ConfigError(_("--out {file}").format(file=display(out)), _("its folder is not there"))
    with common.opened(cli) as register:
        made = certifying.certificate(register, number)
    files.create_exclusive(out, made.pdf)
    cli.emit({
        "version": 1, "list": made.number, "file": str(out), "sha256": made.digest, "keep_until": made.keep_until,
        "lacking": made.lacking,
    })  # fmt: skip
    cli.say(_("wrote {file}").format(file=display(out)))
    cli.say(_("Keep it until {day}.").format(day=made.keep_until))
    if made.lacking:
        cli.note(_("The font does not have: {characters}. Write them in by hand.").format(
            characters=" ".join(f"{one} (U+{ord(one):04X})" for one in made.lacking)))  # fmt: skip
    return EXIT_DONE


@destroy_group.command_of(
    "show", help=N_("Show a list, or all of them: who has approved it, and what was done."),
    examples=["vaultd media destroy show", "vaultd media destroy show D-2026-001"],
)  # fmt: skip
@click.argument("number", metavar="[LIST]", required=False)
@pass_cli
def show_command(cli: Cli, number: str | None) -> int:
    """From the state database."""
    from vaultd.custody import caller
    from vaultd.media import destruction
    from vaultd.media.register import Register

    with common.reading(cli) as store:
        if store is None:
            cases = []
        else:
            register = Register(cli.config(), store, caller())
            numbers = [number] if number is not None else [row.number for row in store.destructions()]
            cases = [destruction.find(register, one) for one in numbers]
    if number is not None and cases:
        _tell(cli, cases[0])
        return EXIT_DONE
    cli.emit({"version": 1, "lists": [case_json(case) for case in cases]})
    states = _states()
    for case in cases:
        labels = ", ".join(one.label for one in case.media)
        cli.say(f"{case.row.number}  {states[case.row.state]}  {labels}")
    if not cases:
        cli.say(_("There is no list."))
    return EXIT_DONE


def _states() -> dict[str, str]:
    return {"requested": _("requested"), "executed": _("executed"), "certified": _("certified")}


def case_json(case: Case) -> dict[str, Any]:
    """A list as ``--json`` has it."""
    return {
        "list": case.row.number, "state": case.row.state, "labels": [one.label for one in case.media],
        "event": case.request["event"], "request": case.request,
        "approvals": [common.signature_json(row) for row in case.approvals], "execution": case.execution,
        "signatures": [common.signature_json(row) for row in case.signatures],
        "certificate": case.row.certificate, "keep_until": case.row.keep_until,
    }  # fmt: skip


def _tell(cli: Cli, case: Case) -> None:
    """A list after a step."""
    cli.emit({"version": 1, "destruction": case_json(case)})
    states = _states()
    labels = ", ".join(one.label for one in case.media)
    cli.say(_("List {number}: {state}: {labels}").format(
        number=case.row.number, state=states[case.row.state], labels=labels))  # fmt: skip
    for row in (*case.approvals, *case.signatures):
        cli.say("  " + common.signature_line(row))
