"""Opening a kit where things are not as they should be: a damaged copy of the state, a ledger that others know better,
a kit that does not fit any more."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.anchoring import Ledger
from tests.kit_golden.make import CONTENT
from tests.restoring import HOST, Stored, at, write
from vaultd.anchor import mirror
from vaultd.config import Config, HostConfig, load
from vaultd.doctor import check_kits
from vaultd.errors import LedgerStoppedError
from vaultd.kit import opening, register
from vaultd.kit.content import Content, KitLedger
from vaultd.kit.faults import KitError
from vaultd.kit.register import Known
from vaultd.protect.recorded import STATE_VAULT
from vaultd.store import Store

# the state


def _copy_of_state(stored: Stored, hour: int, *, word: str) -> None:
    write(stored.root / "state.db", f"database {word}")
    write(stored.root / "vaultd.toml", f"# {word}\n")
    write(stored.root / "ledger" / "checkpoint", word)
    stored.full(vault=STATE_VAULT, time=at(hour))


def test_a_damaged_copy_of_the_state_is_left_for_the_one_at_another_target(tmp_path: Path) -> None:
    first, second = Stored(tmp_path / "first"), Stored(tmp_path / "second")
    _copy_of_state(second, 8, word="older")
    _copy_of_state(first, 9, word="newest")
    for pack in [one for one in (first.path / "data").rglob("*") if one.is_file()]:
        pack.unlink()
    content: Content = CONTENT.model_copy(update={"host": HOST})
    config = Config(host=HostConfig(name=HOST, state=tmp_path / "state"))
    config.host.state.mkdir()
    listed = {"first": first.listed(), "second": second.listed()}
    notes: list[str] = []
    repositories = {"first": first.repository, "second": second.repository}
    found = opening.bring_state(config, content, repositories, listed, notes.append)
    assert (found.target, found.config_text) == ("second", "# older\n")
    assert (tmp_path / "state" / "state.db").read_text() == "database older"
    assert (tmp_path / "state" / "ledger" / "checkpoint").read_text() == "older"
    assert not (tmp_path / "state" / opening.RETURNED).exists()
    assert any("the copy at target first is damaged" in note for note in notes)
    # With the damaged one alone there is nothing, and the way round is said.
    (tmp_path / "other").mkdir()
    config = Config(host=HostConfig(name=HOST, state=tmp_path / "other"))
    with pytest.raises(KitError, match="damaged"):
        opening.bring_state(config, content, repositories, {"first": listed["first"]}, notes.append)
    assert list((tmp_path / "other").iterdir()) == []
    with pytest.raises(KitError, match="no target that can be read has a copy"):
        opening.bring_state(config, CONTENT, repositories, listed, notes.append)


def test_a_configuration_without_the_keys_that_change_gets_them(tmp_path: Path) -> None:
    """The lost host had its state where it is by default, and named no known_hosts."""
    text = (
        '# kept\n[[target]]\nname = "east"\nhost = "h"\nuser = "u"\npath = "p"\n'
        'identity = "/etc/vaultd/east.key"\npassword_file = "/etc/vaultd/east.password"\n'
        '[[target]]\nname = "later"\nhost = "h2"\nuser = "u"\npath = "p"\n'
        'identity = "/etc/vaultd/later.key"\npassword_file = "/etc/vaultd/later.password"\n'
        '[[vault]]\nname = "patients"\npath = "/srv/p"\nclassification = "secret"\ntargets = ["east", "later"]\n'
    )
    for head in ("", '[host]\nname = "ward"\n', '[host]\nname = "ward"\n#state = "/var/lib/vaultd"\n'):
        whole = head + text if head else '[host]\nname = "ward"\n\n' + text
        found, config = opening.configuration(whole, tmp_path / "vaultd.toml", tmp_path / "state", CONTENT)
        assert "# kept" in found
        assert config.host.state == tmp_path / "state"
        east, later = config.target
        assert east.identity == tmp_path / "state" / "kit-1f2e3d4c" / "east.key"
        assert later.identity == Path("/etc/vaultd/later.key")  # a target that the kit does not know
    with pytest.raises(Exception, match="it is of host other"):
        opening.configuration('[host]\nname = "other"\n' + text, tmp_path / "x", tmp_path / "state", CONTENT)


def test_what_the_kit_itself_knows_makes_a_configuration_too(tmp_path: Path) -> None:
    text, _config = opening.bare_configuration(tmp_path / "vaultd.toml", tmp_path / "state", CONTENT)
    (tmp_path / "vaultd.toml").write_text(text)
    config = load(tmp_path / "vaultd.toml")
    assert config.host.name == "ward"
    assert config.vault_named("patients").path == Path("/srv/病案")
    assert (config.target[0].host, config.target[0].port) == ("backup.example.org", 2222)


# the ledger


def _pem(ledger: Ledger) -> str:
    """The signing key as the host has it in a file."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return ledger.signer.private.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def _with_key(pem: str | None) -> Content:
    known = KitLedger(origin="ward.example/records", root_key="x", signing_key=pem)
    return CONTENT.model_copy(update={"ledger": known})


def test_a_ledger_that_a_target_knows_more_of_does_not_go_on(config, target, tmp_path) -> None:  # type: ignore[no-untyped-def]
    lost = Ledger(tmp_path / "lost")
    lost.grow(3)
    config.ledger_key.unlink(missing_ok=True)
    copy = lost.copied(tmp_path / "copy")
    mirror.publish(config, target, lost.folder, lost.grow(2))  # after the last copy of the state, before the fire
    pem = _pem(lost)
    here = Config.model_validate({**config.model_dump(), "host": {"name": "ward", "state": tmp_path / "new"}})
    (tmp_path / "new").mkdir()
    copy.path.rename(here.ledger_folder)
    with pytest.raises(LedgerStoppedError) as caught:
        opening.go_on_with_ledger(here, _with_key(pem), lambda _text: None)
    assert "vaultd ledger continue" in caught.value.hint
    assert not here.ledger_key.exists()
    with pytest.raises(KitError, match="does not have the key"):
        opening.go_on_with_ledger(here, _with_key(None), lambda _text: None)
    other = _pem(Ledger(tmp_path / "another"))
    with pytest.raises(KitError, match="its key was changed"):
        opening.go_on_with_ledger(here, _with_key(other), lambda _text: None)
    assert not here.ledger_key.exists()
    # The whole ledger goes on.
    (here.ledger_folder).rename(tmp_path / "short")
    lost.copied(here.ledger_folder)
    opening.go_on_with_ledger(here, _with_key(pem), lambda _text: None)
    assert here.ledger_key.stat().st_mode & 0o777 == 0o600


# advice


def test_the_doctor_advises_on_kits(config: Config) -> None:
    def said() -> list[tuple[str, str]]:
        return [(one.level, one.text) for one in check_kits(config)]

    assert said() == []  # no state yet
    config.host.state.mkdir(exist_ok=True)
    store = Store(config.host.state / "state.db")
    try:
        assert said() == [("advice", "there is no recovery kit")]
        today = register.today()
        made = Known("0000000a", "2026-01-01T00:00:00Z", None, 3, 5).with_key("offsite", "k", "line", "r" * 64)
        register.note(store, made)
        assert "was begun and never finished" in said()[0][1]

        def valid(**changes: object) -> None:
            fields = {name: getattr(made, name) for name in Known.__dataclass_fields__}
            register.note(store, Known(**{**fields, "state": register.VALID, **changes}))

        valid(expires=str(today - timedelta(days=1)))
        assert said() == [("advice", "every recovery kit has expired")]
        valid(expires=str(today + timedelta(days=10)))
        assert said() == [("advice", f"kit 0000000a expires on {today + timedelta(days=10)}")]
        valid(expires=str(today))
        assert "expires on" in said()[0][1]  # the day itself still counts
        valid()
        assert said() == [("fine", "kit 0000000a is there for all targets")]
        store.pin_repository("offsite", "s" * 64)  # a new repository, which it does not open
        assert said() == [("advice", "kit 0000000a does not open the targets offsite")]
        valid(keys={})
        assert said() == [("advice", "kit 0000000a does not open the targets offsite")]
        valid(state=register.REVOKED, left=("offsite",))
        assert said()[0] == ("advice", "kit 0000000a is revoked, but not at offsite")
    finally:
        store.close()
