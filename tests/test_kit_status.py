"""`vaultd status` shows the recovery kit that counts, and one that has expired is an alert."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.site import site_in, until
from vaultd import status
from vaultd.cli.render_status import render
from vaultd.kit import register
from vaultd.kit.register import Known
from vaultd.status import VaultPlan
from vaultd.store import Store

TODAY = date(2026, 5, 1)
PLANS = [VaultPlan("records", "/srv/records", targets=("east", "west"))]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "state.db")
    yield found
    found.close()


def made(number: str, created: str, *targets: str, **changes: object) -> Known:
    kit = Known(number, created, None, 3, 5, register.VALID)
    for name in targets:
        kit = kit.with_key(name, f"key of {name}", "line", f"repository {name}")
    fields = {name: getattr(kit, name) for name in Known.__dataclass_fields__}
    return Known(**{**fields, **changes})


def shown(store: Store) -> tuple[dict[str, object], str]:
    found = status.document(store, "ward", PLANS)
    return found["kit"], next(line for line in render(found).splitlines() if line.startswith("Recovery kit"))


def test_no_kit_is_something_to_mend(store: Store) -> None:
    found, text = shown(store)
    assert found == dict.fromkeys(("id", "created", "expires", "shares", "threshold")) | {
        "state": "none",
        "lacking": [],
    }
    assert text.startswith("Recovery kit: none.") and "vaultd kit create" in text
    # One that was never finished, or is revoked, is none either.
    register.note(store, made("0000000a", "2026-01-01T00:00:00Z", "east", state=register.MAKING))
    register.note(store, made("0000000b", "2026-01-02T00:00:00Z", "east", state=register.REVOKED))
    assert shown(store)[0]["state"] == "none"


def test_the_newest_kit_that_is_good_is_shown_with_what_it_lacks(store: Store) -> None:
    register.note(store, made("0000000a", "2026-01-01T00:00:00Z", "east", "west"))
    register.note(store, made("0000000b", "2026-02-01T00:00:00Z", "east", "west", expires="2026-02-28"))
    found, text = shown(store)
    assert (found["state"], found["id"], found["expires"], found["lacking"]) == ("valid", "0000000a", None, [])
    assert (found["threshold"], found["shares"], found["created"]) == (3, 5, "2026-01-01T00:00:00Z")
    assert text.startswith("Recovery kit 0000000a: made ")
    assert "3 of 5 shares open it" in text and text.endswith("does not expire")
    later = str(register.today() + timedelta(days=400))
    register.note(store, made("0000000c", "2026-03-01T00:00:00Z", "east", expires=later))
    found, text = shown(store)
    assert (found["id"], found["expires"], found["lacking"]) == ("0000000c", later, ["west"])
    assert f"good until {later}" in text and "does NOT open the targets west" in text
    store.pin_repository("east", "another repository")
    assert shown(store)[0]["lacking"] == ["east", "west"]


def test_when_all_have_expired_the_newest_is_shown_as_such(store: Store) -> None:
    register.note(store, made("0000000a", "2020-01-01T00:00:00Z", "east", "west", expires="2021-01-01"))
    register.note(store, made("0000000b", "2020-02-01T00:00:00Z", "east", "west", expires="2020-12-31"))
    found, text = shown(store)
    assert (found["state"], found["id"]) == ("expired", "0000000b")
    assert "EXPIRED on 2020-12-31: vaultd kit create" in text


def test_the_alert_is_of_a_kit_that_has_expired_and_over_when_there_is_a_good_one(store: Store) -> None:
    def alerts() -> list[dict[str, object]]:
        register.settle(store, TODAY)
        return [dict(one.detail) for one in store.alerts.list() if one.code == "kit-expired"]

    assert alerts() == []  # none is something to mend, and said by status and doctor
    register.note(store, made("0000000a", "2026-01-01T00:00:00Z", expires=str(TODAY)))
    assert alerts() == []  # its last day still counts
    register.note(store, made("0000000a", "2026-01-01T00:00:00Z", expires=str(TODAY - timedelta(days=1))))
    assert alerts() == [{"kit": "0000000a", "day": "2026-04-30"}]
    register.note(store, made("0000000b", "2026-02-01T00:00:00Z", expires=str(TODAY)))
    assert alerts() == []
    register.note(store, made("0000000b", "2026-02-01T00:00:00Z", state=register.REVOKED))
    assert len(alerts()) == 1
    register.note(store, made("0000000a", "2026-01-01T00:00:00Z", state=register.REVOKED))
    assert alerts() == []


def test_the_daemon_raises_it_and_says_so(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.add_target("east")
        site.add_vault(targets=["east"])
        site.prepare()
        (tmp_path / "records" / "file").write_text("x")
        site.backup(full=True)
        state = Store(site.state / "state.db")
        register.note(state, made("0000000a", "2020-01-01T00:00:00Z", "east", expires="2021-01-01"))
        state.close()
        site.start()
        until(lambda: "kit-expired" in {one["code"] for one in site.status()["alerts"]}, "the kit's end is told")
        found = site.status()
        assert found["kit"]["state"] == "expired" and found["kit"]["id"] == "0000000a"
        (alert,) = [one for one in found["alerts"] if one["code"] == "kit-expired"]
        assert alert["severity"] == "warning" and "vaultd kit create" in alert["hint"]
        site.wait_protected(target="east")  # nothing of the protection is the worse for it
