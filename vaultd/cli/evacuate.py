"""``vaultd evacuate``: what leaves the building by hand. The order itself is beside."""

from __future__ import annotations

from vaultd.cli.base import group
from vaultd.i18n import N_


@group(
    "evacuate",
    help=N_("Evacuate: copy what matters most first, and carry out what cannot be copied in time."),
    examples=[
        "vaultd evacuate sign-off SH1-2026-00017 --by 张伟 --to 李娜 --seal 88412",
        "vaultd evacuate medium prepare SH1-2026-00009 --device /dev/sdc1",
        "vaultd evacuate package --out /mnt/carry/bag",
    ],
)
def evacuate_group() -> None:
    """Only a name for its commands."""


evacuate_group.lazy = {
    "sign-off": ("vaultd.cli.evacuate_signoff:sign_off_command", N_("Sign for a disk that leaves.")),
    "receive": ("vaultd.cli.evacuate_signoff:receive_command", N_("Sign for what has arrived at the other end.")),
    "medium": ("vaultd.cli.evacuate_medium:medium_group", N_("A removable disk as a target.")),
    "package": ("vaultd.cli.evacuate_package:package_command", N_("A bag to carry: files with manifest and proofs.")),
}
