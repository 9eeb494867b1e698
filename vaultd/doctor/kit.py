"""The recovery kit: whether there is one that is good for today. Advice, since protection does not need it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from vaultd import places
from vaultd.config import Config
from vaultd.doctor.finding import ADVICE, FINE, Finding
from vaultd.errors import StateError
from vaultd.i18n import _
from vaultd.kit import register
from vaultd.kit.register import Standing
from vaultd.store import Store

SOON = timedelta(days=30)


def check_kits(config: Config) -> Iterator[Finding]:
    """Look at the register of kits; nothing where there is no vault, or no state yet."""
    if not config.vault:
        return
    try:
        store = Store(places.database(config.host.state), read_only=True)
    except StateError:
        return
    try:
        known, today = register.known(store), register.today()
        found = register.standing(store, [one.name for one in config.target], today)
    finally:
        store.close()
    for kit in known:
        if kit.left:
            text = _("kit {kit} is revoked, but not at {targets}").format(kit=kit.id, targets=", ".join(kit.left))
            yield Finding(ADVICE, "kit", text, _("`vaultd kit revoke {kit}` again").format(kit=kit.id))
        elif kit.state == register.MAKING:
            text = _("kit {kit} was begun and never finished").format(kit=kit.id)
            yield Finding(ADVICE, "kit", text, _("`vaultd kit revoke {kit}` removes its keys").format(kit=kit.id))
    valid = [kit for kit in known if kit.state == register.VALID]
    yield _valid(found, soon=all(kit.expired(today + SOON) for kit in valid if not kit.expired(today)))


def _valid(found: Standing, *, soon: bool) -> Finding:
    kit, new = found.kit, _("make a new one: `vaultd kit create`")
    if kit is None:
        why = _("without one, what burns with this machine and its papers cannot be restored: `vaultd kit create`")
        return Finding(ADVICE, "kit", _("there is no recovery kit"), why)
    if found.expired:
        return Finding(ADVICE, "kit", _("every recovery kit has expired"), new)
    if found.lacking:
        text = _("kit {kit} does not open the targets {targets}").format(kit=kit.id, targets=", ".join(found.lacking))
        return Finding(ADVICE, "kit", text, new)
    if soon:
        return Finding(ADVICE, "kit", _("kit {kit} expires on {day}").format(kit=kit.id, day=kit.expires), new)
    return Finding(FINE, "kit", _("kit {kit} is there for all targets").format(kit=kit.id))
