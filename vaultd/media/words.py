"""Words of the register as staff write them, in both languages, and what they mean; capacities."""

from __future__ import annotations

import re
from decimal import Decimal

from vaultd.i18n import _
from vaultd.media.faults import MediaError
from vaultd.paper.both import Both

CLASSIFICATIONS = {
    "top-secret": Both("TOP SECRET", "绝密"), "secret": Both("SECRET", "机密"),
    "confidential": Both("CONFIDENTIAL", "秘密"), "internal": Both("INTERNAL", "内部"),
}  # fmt: skip
STATUSES = {
    "in-service": Both("in service", "在用"), "removed": Both("removed", "已拆除"),
    "in-transit": Both("in transit", "转移中"), "deposited": Both("deposited", "已存放"),
    "returned": Both("returned", "已归还"), "destroyed": Both("destroyed", "已销毁"),
}  # fmt: skip
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "PIB": 2**50}  # fmt: skip
_CAPACITY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?I?B)?", re.ASCII)


def meant(words: dict[str, Both], text: str, field: str) -> str:
    """The key of a word in either language, or of the key itself. Raises MediaError that lists what there is."""
    wanted = text.strip().casefold()
    for key, both in words.items():
        if wanted in (key, both.en.casefold(), both.zh):
            return key
    known = ", ".join(f"{key} ({both.zh})" for key, both in words.items())
    raise MediaError(f"{field} {text}", _("this is none"), _("one of: {names}").format(names=known))


def capacity(text: str) -> int:
    """Bytes of "4 TB", "3.64TiB", "500107862016"; 0 for nothing. Raises MediaError."""
    if not text.strip():
        return 0
    match = _CAPACITY.fullmatch(text.strip().upper())
    if match is None:
        raise MediaError(_("capacity {text}").format(text=text), _("this is no size"), _('write it as "4 TB"'))
    return round(Decimal(match[1]) * _UNITS[match[2] or "B"])


def capacity_text(count: int) -> str:
    """Bytes as makers print them on disks, exactly, so that it comes back as the same: "4 TB", "480103981056 B"."""
    if not count:
        return ""
    for unit in ("PB", "TB", "GB", "MB", "KB"):
        hundredths, rest = divmod(count * 100, _UNITS[unit])
        if not rest and hundredths >= 100:
            return f"{Decimal(hundredths) / 100:f} {unit}"
    return f"{count} B"
