"""``storcli``, ``ssacli``, ``megacli`` and ``arcconf``: the disks behind a RAID controller, which the kernel does not
see. Four programs, one kind of value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vaultd.disks.machine import clean


@dataclass(frozen=True, slots=True)
class Member:
    """A disk. ``bay``: as the controller calls it. ``size`` in bytes, 0 where it is not told. ``good``: what the
    controller thinks of it, None where it does not say."""

    controller: str
    bay: str
    vendor: str
    model: str
    serial: str
    wwn: str
    size: int
    transport: str
    good: bool | None
    state: str
    encrypted: bool = False


_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40, "PB": 1 << 50}


def storcli(text: str) -> list[Member]:
    """``storcli /cALL/eALL/sALL show all J``."""
    found = []
    for controller in _list(_json(text), "Controllers"):
        data = controller.get("Response Data") if isinstance(controller, dict) else None
        for name, rows in (data if isinstance(data, dict) else {}).items():
            if not re.fullmatch(r"Drive /c\d+(/e\d+)?/s\d+", name) or not isinstance(rows, list) or not rows:
                continue
            row = rows[0] if isinstance(rows[0], dict) else {}
            more = data.get(f"{name} - Detailed Information", {}) if isinstance(data, dict) else {}
            said = _merged(more)
            place = re.findall(r"\d+", name)
            alert, state = clean(said.get("S.M.A.R.T alert flagged by drive", "")), clean(str(row.get("State", "")))
            found.append(
                Member(
                    f"controller {place[0]}", _bay(place[1] if len(place) > 2 else "", place[-1]),
                    clean(said.get("Manufacturer Id", "")), clean(said.get("Model Number", str(row.get("Model", "")))),
                    clean(said.get("SN", "")), clean(said.get("WWN", "")).lower(), _raw(said.get("Raw size", "")),
                    clean(str(row.get("Intf", ""))).lower(),
                    {"Yes": False, "No": state not in ("UBad", "Offln", "Failed")}.get(alert), state,
                    said.get("SED Enabled") == "Yes",
                )
            )  # fmt: skip
    return found


def _merged(more: Any) -> dict[str, str]:
    """The named texts of all parts of a drive's details."""
    said = dict[str, str]()
    for part in (more if isinstance(more, dict) else {}).values():
        if isinstance(part, dict):
            said |= {str(key): str(value) for key, value in part.items() if isinstance(value, (str, int))}
    return said


def megacli(text: str) -> list[Member]:
    """``megacli -PDList -aALL``, or ``-LdPdInfo``."""
    found, adapter = [], "0"
    for part in re.split(r"(?m)^(?=Adapter #\d+|Enclosure Device ID:)", text):
        head = re.match(r"Adapter #(\d+)", part)
        adapter = head[1] if head else adapter
        said = _pairs(part)
        if "Slot Number" not in said:
            continue
        vendor, model, serial = _inquiry(said.get("Inquiry Data", ""))
        bad = said.get("Drive has flagged a S.M.A.R.T alert", "")
        state = said.get("Firmware state", "")
        enclosure = said.get("Enclosure Device ID", "")
        found.append(
            Member(f"controller {adapter}", _bay(enclosure if enclosure.isdigit() else "", said["Slot Number"]), vendor,
                   model, serial, said.get("WWN", "").lower(), _raw(said.get("Raw Size", "")),
                   said.get("PD Type", "").lower(),
                   {"Yes": False, "No": not re.search(r"bad|failed|offline", state, re.I)}.get(bad), state,
                   said.get("Secured") == "Secured")
        )  # fmt: skip
    return found


def _inquiry(text: str) -> tuple[str, str, str]:
    """Vendor, model and serial: SAS has them in columns (vendor 8 wide, model 16, revision 4); SATA has the serial
    first, 20 wide, and the revision last."""
    words = text.split()
    if len(text) >= 60 and len(words) >= 3:
        return "ATA", clean(" ".join(words[1:-1])), clean(words[0])
    return clean(text[:8]), clean(text[8:24]), clean(text[28:])


def ssacli(text: str) -> list[Member]:
    """``ssacli ctrl all show config detail``; the same drive may stand in several lists."""
    found, controller = dict[tuple[str, str], Member](), ""
    for part in re.split(r"(?m)^(?=\S.* in Slot )|^(?=\s+physicaldrive [^\s(]+\s*$)", text):
        head = re.match(r"(.+ in Slot \d+)", part) if not part.startswith(" ") else None
        if head:
            controller = clean(head[1])
        drive = re.match(r"\s+physicaldrive (\S+)\s*\n", part)
        if not drive:
            continue
        said = _pairs(part)
        vendor, _space, model = said.get("Model", "").partition(" ")
        kind = said.get("Interface Type", "").lower()
        bay = (
            f"port {said['Port']} box {said.get('Box', '?')} bay {said['Bay']}"
            if "Port" in said and "Bay" in said
            else drive[1]
        )
        status = said.get("Status", "")
        found[controller, bay] = Member(
            controller, bay, vendor, model.strip(), said.get("Serial Number", ""), said.get("WWID", "").lower(),
            _sized(said.get("Size", "")), "sata" if "sata" in kind else "sas" if "sas" in kind else "",
            {"": None, "OK": True}.get(status, False), status,
        )  # fmt: skip
    return list(found.values())


def arcconf(text: str) -> list[Member]:
    """``arcconf GETCONFIG 1 PD``."""
    found = []
    for part in re.split(r"(?m)^\s+(?=Device #\d+\s*$)", text):
        said = _pairs(part)
        if not part.startswith("Device #") or "Device is a Hard drive" not in part:
            continue
        place = re.findall(r"(\w+) (\d+)", said.get("Reported Location", ""))
        named = {name.lower(): number for name, number in place}
        bay = (
            _bay(named.get("enclosure", ""), named["slot"])
            if "slot" in named
            else ", ".join(map(" ".join, place)).lower()
        )
        state = said.get("State", "")
        found.append(
            Member("controller 1", bay, said.get("Vendor", ""), said.get("Model", ""), said.get("Serial number", ""),
                   said.get("World-wide name", "").lower(), _sized(said.get("Total Size", "")),
                   "sata" if "SATA" in said.get("Transfer Speed", "") else "sas",
                   state in ("Online", "Ready", "Hot Spare", "Optimal") and said.get("S.M.A.R.T. warnings", "0") == "0",
                   state)
        )  # fmt: skip
    return found


PARSERS: dict[str, Callable[[str], list[Member]]] = {
    "storcli": storcli, "ssacli": ssacli, "megacli": megacli, "arcconf": arcconf,
}  # fmt: skip
"""By the key of the command (``vaultd.disks.helper``)."""

PROGRAMS = {
    "megaraid_sas": ("storcli", "megacli"), "mpt3sas": (), "hpsa": ("ssacli",), "smartpqi": ("ssacli", "arcconf"),
    "cciss": ("ssacli",), "aacraid": ("arcconf",),
}  # fmt: skip
"""The kernel's driver -> who can be asked about its controllers, the best one first."""


def _bay(enclosure: str, slot: str) -> str:
    return f"enclosure {enclosure} slot {slot}" if enclosure else f"slot {slot}"


def _pairs(text: str) -> dict[str, str]:
    """Lines "name : value"; of several of the same name the first."""
    said = dict[str, str]()
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            said.setdefault(name.strip(), value[1:].rstrip() if name.strip() == "Inquiry Data" else clean(value))
    return said


def _raw(text: str) -> int:
    """ "14.552 TB [0x746c00000 Sectors]": the sectors are exact."""
    sectors = re.search(r"\[0x([0-9a-fA-F]+) Sectors\]", text)
    return int(sectors[1], 16) * 512 if sectors else _sized(text)


def _sized(text: str) -> int:
    match = re.match(r"\s*([\d.]+)\s*([KMGTP]?B)\b", text)
    try:
        return round(float(match[1]) * _UNITS[match[2]]) if match else 0
    except ValueError:
        return 0


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []
