"""``smartctl --json``: what a disk says of its health. Bits of the exit code tell what the JSON leaves out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_OPEN_FAILED, _FAILING = 0x02, 0x08


@dataclass(frozen=True, slots=True)
class Smart:
    """``passed`` is None when it does not say; ``detail``: figures that go before a failure, in smartctl's words;
    ``hours`` it was on; ``locked``: a self-encrypting disk whose locking is on."""

    passed: bool | None
    serial: str
    model: str
    detail: str
    hours: int | None


_WATCHED = {5: "reallocated", 187: "uncorrectable", 188: "timeouts", 197: "pending", 198: "offline-uncorrectable"}


def parse(text: str) -> Smart | None:
    """None when it is no such text, or the disk could not be opened or sleeps."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or "smartctl" not in found:
        return None
    code = _int(_at(found, "smartctl", "exit_status")) or 0
    passed = _at(found, "smart_status", "passed")
    serial, model = _text(found.get("serial_number")), _text(found.get("model_name") or found.get("scsi_model_name"))
    if not isinstance(passed, bool):
        passed = False if code & _FAILING else None
    if passed is None and not serial and code & _OPEN_FAILED:
        return None
    return Smart(passed, serial, model, ", ".join(_figures(found)), _int(_at(found, "power_on_time", "hours")))


def _figures(found: dict[str, Any]) -> list[str]:
    figures = []
    table = _at(found, "ata_smart_attributes", "table")
    for row in table if isinstance(table, list) else ():
        number, raw = _int(_at(row, "id")), _int(_at(row, "raw", "value"))
        if number in _WATCHED and raw:
            figures.append(f"{_WATCHED[number]} {raw & 0xFFFFFFFF}")
        if _text(_at(row, "when_failed")) not in ("", "-"):
            figures.append(f"{_text(_at(row, 'name'))} {_text(_at(row, 'when_failed'))}")
    log = found.get("nvme_smart_health_information_log")
    for name, label in (("critical_warning", "critical warning"), ("media_errors", "media errors"),
                        ("percentage_used", "used %")):  # fmt: skip
        value = _int(_at(log, name))
        if value:
            figures.append(f"{label} {value}")
    defects = _int(found.get("scsi_grown_defect_list"))
    if defects:
        figures.append(f"grown defects {defects}")
    temperature = _int(_at(found, "temperature", "current"))
    if temperature:
        figures.append(f"{temperature} °C")
    return figures


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
