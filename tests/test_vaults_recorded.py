"""What of the configuration of vaults goes on record: what differs from what is there, once."""

from __future__ import annotations

from pathlib import Path

from vaultd.config import Config
from vaultd.custody import vaults
from vaultd.ledger.events import VaultDescribed


def configured(tmp_path: Path, **objectives: float) -> Config:
    target = {"name": "bunker", "host": "h", "user": "u", "path": "p", "identity": "/i", "password_file": "/p"}
    found = [
        {"name": name, "path": tmp_path / name, "classification": "secret", "targets": ["bunker"], "objective": value}
        for name, value in objectives.items()
    ]
    return Config.model_validate(
        {"host": {"name": "ward", "state": tmp_path / "s"}, "target": [target], "vault": found}
    )


def test_only_what_differs_is_put_on_record(tmp_path: Path) -> None:
    first = configured(tmp_path, one=60, two=1.5)
    assert list(vaults.changed(first, None, "log")) == [
        VaultDescribed(name, "protected", str(tmp_path / name), "secret", 5, None, objective, ["bunker"])
        for name, objective in (("one", 60_000), ("two", 1_500))
    ]
    known = vaults.known(first, "log")
    assert list(vaults.changed(first, known, "log")) == []
    second = configured(tmp_path, two=2, three=9)
    found = list(vaults.changed(second, known, "log"))
    assert [(one.vault, one.state, one.objective_ms) for one in found] == [
        ("two", "protected", 2_000), ("three", "protected", 9_000), ("one", "dropped", None),
    ]  # fmt: skip


def test_another_log_is_told_everything(tmp_path: Path) -> None:
    config = configured(tmp_path, one=60)
    assert len(list(vaults.changed(config, vaults.known(config, "log"), "the next log"))) == 1
