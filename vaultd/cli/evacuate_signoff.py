"""``vaultd evacuate sign-off|receive``: who gave a disk to whom, under which seal; on the spot, or from paper."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.format import rfc3339
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, ConfigError, StateError, VaultdError
from vaultd.i18n import N_, _, ngettext
from vaultd.names import display

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vaultd.evacuate.signoff import Signed
    from vaultd.media.register import Register
    from vaultd.media.safety import Unsafe
    from vaultd.pull.model import PullList


def _evacuation_option(function: Callable[..., Any]) -> Callable[..., Any]:
    text = N_("Of which evacuation [default: the one under way]")
    return click.option("--evacuation", default="", metavar="ID", help=text)(function)


@command(
    "sign-off",
    help=N_(
        "Sign for a disk that leaves: who gives it to whom, under which seal. DISK is what is printed on it or on the "
        "list: label, serial number, key, bay, its number (#3), or the text of its QR code. It is a custody event "
        "in the register of media, which the evacuation's entry names; a disk that is in no register is registered on "
        "the spot, and somebody has to look at that later. Approvals are filed afterwards.\n\n"
        "Where not all on it is safe off-site, it asks why it goes now; one word is enough, and goes on record.\n\n"
        "With --batch it takes a table of what was written on the printed list: disk, by, to, seal, time (硬盘 移交人 "
        "接收人 封条号 时间), UTF-8 or GB18030. Times are recorded as written on paper. One bad row, and nothing is "
        "taken; each is named."
    ),
    examples=[
        "vaultd evacuate sign-off SH1-2026-00017 --by 张伟 --to 李娜 --seal 88412",
        "vaultd evacuate sign-off '#3' --by 张伟 --to 李娜 --seal 88413 --reason fire",
        "vaultd evacuate sign-off --batch 拔盘签收.csv",
    ],
)
@click.argument("disk", required=False)
@click.option("--by", default="", metavar="NAME", help=N_("Who releases it (移交人)."))
@click.option("--to", default="", metavar="NAME", help=N_("Who receives it (接收人)."))
@click.option("--seal", default="", metavar="NUMBER", help=N_("Number of the seal on it."))
@click.option("--place", default="", metavar="PLACE", help=N_("Where it goes [default: with who receives it]"))
@click.option("--reason", default="", metavar="TEXT", help=N_("Why it goes although not all on it is safe off-site."))
@click.option("--approved-by", "approver", default="", metavar="NAME", help=N_("Who is to approve it afterwards."))
@click.option("--new", "unknown", is_flag=True, help=N_("It is in no list: register it by this serial number."))
@click.option("--batch", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help=N_("Take the sign-offs of a table."))  # fmt: skip
@_evacuation_option
@common.time_option
@common.signing_options
@pass_cli
def sign_off_command(
    cli: Cli, disk: str | None, batch: Path | None, unknown: bool, time_text: str | None, keys: tuple[str, ...],
    sheet: str, **values: str,
) -> int:  # fmt: skip
    """One disk, or a table of them."""
    from vaultd.evacuate import current, signoff, subject
    from vaultd.media.register import clean

    if (disk is None) == (batch is None):
        raise ConfigError(
            _("which disk"), _("neither a disk nor a table is given") if disk is None else _("both are given"),
            _("vaultd evacuate sign-off DISK --by NAME --to NAME; or --batch FILE"),
        )  # fmt: skip
    texts = {name: clean(text, name) for name, text in values.items()}
    current.checked(texts["evacuation"])
    wish = signoff.Wish(**texts, moment=common.moment_of(time_text), means=common.means(keys, sheet))
    made = _kept_list(cli)
    with common.opened(cli) as register:
        if batch is not None:
            done = _batch(cli, register, batch, wish, made)
        else:
            if not (wish.by and wish.to):
                raise ConfigError(
                    _("sign-off of {disk}").format(disk=display(disk or "")), _("both sides must be named"),
                    _("--by NAME releases, --to NAME receives"),
                )  # fmt: skip
            found = (
                subject.unknown(clean(disk or "", "serial")) if unknown
                else subject.find(register, made, common.inventory(cli), disk or "")
            )  # fmt: skip
            unsafe = _looker(cli, register)(found.vaults)
            wish = _with_reason(cli, wish, found.text, unsafe)
            done = [signoff.sign_off(register, found, wish, made, unsafe)]
        _renew(cli, register)
    _tell(cli, done)
    return EXIT_DONE


def _batch(cli: Cli, register: Register, file: Path, wish: Any, made: PullList | None) -> list[Signed]:
    from vaultd.evacuate import paper
    from vaultd.media import table

    with file.open("rb") as stream:
        raw = stream.read(table.LARGEST + 1)
    if len(raw) > table.LARGEST:
        raise ConfigError(display(file), _("it is larger than {bytes} bytes").format(bytes=table.LARGEST))
    return paper.take(register, raw, wish, made, common.inventory(cli), _looker(cli, register))


def _kept_list(cli: Cli) -> PullList | None:
    """The list as it is kept; a damaged one stops nobody who has a disk in the hand."""
    from vaultd.pull import kept

    try:
        return kept.read(cli.places().state)
    except StateError as error:
        cli.note(str(error))
        return None


def _looker(cli: Cli, register: Register) -> Callable[[Sequence[str]], list[Unsafe]]:
    from vaultd.media import safety

    watched = common.daemon_runs(cli)
    return lambda vaults: safety.unsafe(register.store, register.config, vaults, watched=watched)


def _with_reason(cli: Cli, wish: Any, disk: str, unsafe: Sequence[Unsafe]) -> Any:
    """Ask for the reason where one is needed and somebody is there to say it."""
    from dataclasses import replace

    if wish.reason or not unsafe:
        return wish
    for one in unsafe:
        cli.note(_("NOT SAFE off-site: {vault}: {why}").format(vault=one.vault, why=one.why))
    if cli.json or not sys.stdin.isatty():
        return wish
    word = click.prompt(_("Why does {disk} go now? One word is enough").format(disk=disk),
                        default=_("emergency"), err=True)  # fmt: skip
    return replace(wish, reason=str(word).strip() or _("emergency"))


def _renew(cli: Cli, register: Register) -> None:
    """The kept list shows them as gone; what hinders that hinders no sign-off."""
    from vaultd.custody import give_to_owner
    from vaultd.pull import kept, making
    from vaultd.status import plans

    places = cli.places()
    try:
        made = making.again(places.state, places.host, plans(places.raw), register.store)
        if made is not None:
            kept.write(places.state, made)
            give_to_owner(places.state, kept.file_in(places.state))  # the daemon reads it too
    except (VaultdError, OSError) as error:
        cli.note(_("the pull list is not fresh: {error}").format(error=error))


def _tell(cli: Cli, done: Sequence[Signed]) -> None:
    cli.emit({"version": 1, "signed": [_as_json(one) for one in done]})
    for one in done:
        text = _("{label} is signed off: event {event}").format(label=one.label, event=one.event or "-")
        common.say_event(cli, one.event, text, list(one.signatures))
        if one.registered:
            cli.say(_("  It was in no register: it is {label} now. Mark it, and look at its record later.").format(
                label=one.label))  # fmt: skip
        if not one.evacuation:
            cli.say(_("  No evacuation is under way: it is in the register alone."))
    if len(done) > 1:
        text = ngettext("{count} disk is signed off.", "{count} disks are signed off.", len(done))
        cli.say(text.format(count=len(done)))


def _as_json(one: Signed) -> dict[str, Any]:
    return {
        "label": one.label, "event": one.event or None, "evacuation": one.evacuation or None,
        "time": rfc3339(one.moment.at), "time_source": one.moment.source, "registered": one.registered,
        "unsafe": [{"vault": each.vault, "why": each.why, "files": each.files, "bytes": each.bytes}
                   for each in one.unsafe],
        "signatures": [common.signature_json(row) for row in one.signatures], "difference": one.difference or None,
    }  # fmt: skip


@command(
    "receive",
    help=N_(
        "Sign for what has arrived at the other end: the second custody entry. The seal is compared with the one that "
        "was put on; where it differs or is broken, that goes on record and the exit code is 4."
    ),
    examples=["vaultd evacuate receive SH1-2026-00017 --by 李娜 --seal 88412 --seal-condition intact --place 档案馆"],
)
@click.argument("label")
@click.option("--by", "to", required=True, metavar="NAME", help=N_("Who receives it (接收人)."))
@click.option("--seal", default="", metavar="NUMBER", help=N_("Number of the seal that is on it."))
@click.option("--seal-condition", "condition", default="", type=click.Choice(("", "intact", "broken", "none")),
              help=N_("The seal as it was found."))  # fmt: skip
@click.option("--place", default="", metavar="PLACE", help=N_("Where it is put [default: where it was bound for]"))
@_evacuation_option
@common.time_option
@common.signing_options
@pass_cli
def receive_command(
    cli: Cli, label: str, condition: str, time_text: str | None, keys: tuple[str, ...], sheet: str, **values: str
) -> int:
    """The receipt at the other end."""
    from vaultd.evacuate import current, signoff
    from vaultd.media.register import clean

    texts = {name: clean(text, name) for name, text in values.items()}
    current.checked(texts["evacuation"])
    wish = signoff.Wish(by="", **texts, moment=common.moment_of(time_text), means=common.means(keys, sheet))
    with common.opened(cli) as register:
        done = signoff.receive(register, label, wish, condition, _kept_list(cli))
    cli.emit({"version": 1, "received": _as_json(done)})
    text = _("{label} has arrived: event {event}").format(label=done.label, event=done.event or "-")
    common.say_event(cli, done.event, text, list(done.signatures))
    if done.difference:
        cli.say(_("DIFFERENCE: {text}. It is on record; tell who directs the evacuation.").format(text=done.difference))
        return EXIT_DIFFERENCE
    return EXIT_DONE
