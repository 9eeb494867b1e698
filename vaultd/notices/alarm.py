"""Alerts and notices. An alert becomes a notice, at most one in an hour however often it is raised; and notices that
wait too long, or were never sent, are an alert."""

from __future__ import annotations

import time
from collections.abc import Mapping

from vaultd import alerts, units
from vaultd.config.model import Config
from vaultd.errors import StateError
from vaultd.i18n import _, speaking
from vaultd.notices import folders, form, lock, outbox
from vaultd.notices.model import Notice, Tell
from vaultd.store import Store
from vaultd.store.notices import AlertToTell

EVERY_NS = 3600 * 1_000_000_000
"""From one notice about an alert to the next at least."""

HARMLESS = frozenset({"disk", "bay", "vaults", "kit", "day", "channels"})
"""Texts in an alert's detail that name neither files nor paths. Numbers never do."""

HIDDEN = "..."


def tell_alerts(config: Config, store: Store, tell: Tell) -> int:
    """Tell of the alerts of the configured severities that were raised, by any process of this host. Returns how many
    notices were made. Raises StateError."""
    notify = config.notify
    codes = frozenset(code for code, kind in alerts.KINDS.items() if kind.severity.value in notify.alerts)
    anybody = any(one.everybody and one.takes("alert") for one in notify.channel)
    store.count_alerts(codes if anybody else frozenset())
    now, told = time.time_ns(), 0
    waiting = store.alerts_to_tell(now, EVERY_NS) if anybody else []
    newest_first = store.alerts.list(open_only=False) if waiting else []
    details = {(one.code, one.vault, one.target): one.detail for one in reversed(newest_first)}
    for alert in waiting:
        detail = details.get((alert.code, alert.vault, alert.target), {})
        with speaking(notify.lang):
            notice = _notice(config.host.name, alert, detail if notify.allow_names else _harmless(detail))
        tell(notice)
        store.alert_told(alert, now)
        told += 1
    return told


def _harmless(detail: Mapping[str, object]) -> dict[str, object]:
    return {
        key: value if isinstance(value, (int, float)) or key in HARMLESS else HIDDEN for key, value in detail.items()
    }


def _notice(host: str, alert: AlertToTell, detail: Mapping[str, object]) -> Notice:
    about = (alert.code, alert.vault, alert.target, detail)
    lines = [alerts.text(*about), alerts.hint(*about)]
    if alert.count > 1:
        lines.append(
            _("It was raised {count} times since {moment}.").format(
                count=units.number(alert.count), moment=units.local(alert.since)
            )
        )
    title = _("{host}: alert ({code})").format(host=host, code=alert.code)
    return Notice(alert.code, "alert", title, "\n".join(line for line in lines if line))


def raise_alerts(config: Config, store: Store) -> None:
    """Raise or clear ``notices-waiting`` and ``notices-failed``. Raises StateError."""
    state = config.host.state
    late = time.time_ns() - int(config.notify.late * 1e9)
    if folders.root(state).exists():
        where = outbox.whereabouts(state)
        puts = [(number, form.put_at(number)) for number in folders.listed(state, folders.KEPT)]
        late_ones = [put for number, put in puts if put < late and _waits(where.get(number), store, number)]
        _waiting(config, store, late_ones)
    count, channels = store.failed_notices()
    if count:
        store.alerts.raise_("notices-failed", detail={"count": count, "channels": ", ".join(channels)})


def _waits(folder: str | None, store: Store, number: str) -> bool:
    return folder in (folders.NEW, folders.SENDING) or (folder is None and not store.notice_over(number))


def _waiting(config: Config, store: Store, puts: list[int]) -> None:
    if not puts:
        store.alerts.clear("notices-waiting")
        return
    try:
        runs = lock.held(config.host.state)
    except StateError:
        runs = False
    code = "notices-waiting"
    seconds = max(0, time.time_ns() - min(puts)) // 1_000_000_000
    store.alerts.raise_(code, detail={"count": len(puts), "seconds": seconds, "courier": int(runs)})
