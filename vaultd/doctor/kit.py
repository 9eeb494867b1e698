"""The recovery kit: whether there is one that is good for today. Advice, since protection does not need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from vaultd import places
from vaultd.config import Config
from vaultd.doctor.finding import ADVICE, FINE, Finding
from vaultd.errors import StateError
from vaultd.i18n import _
from vaultd.kit import register
from vaultd.kit.register import Known
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
        known = register.known(store)
        repositories = {one.name: store.target_repository(one.name) for one in config.target}
    finally:
        store.close()
    for kit in known:
        if kit.left:
            text = _("kit {kit} is revoked, but not at {targets}").format(kit=kit.id, targets=", ".join(kit.left))
            yield Finding(ADVICE, "kit", text, _("`vaultd kit revoke {kit}` again").format(kit=kit.id))
        elif kit.state == register.MAKING:
            text = _("kit {kit} was begun and never finished").format(kit=kit.id)
            yield Finding(ADVICE, "kit", text, _("`vaultd kit revoke {kit}` removes its keys").format(kit=kit.id))
    yield from _valid(repositories, [kit for kit in known if kit.state == register.VALID])


def _valid(targets: Mapping[str, str | None], kits: list[Known]) -> Iterator[Finding]:
    today, new = register.today(), _("make a new one: `vaultd kit create`")
    good = [kit for kit in kits if not kit.expired(today)]
    if not good:
        text = _("every recovery kit has expired") if kits else _("there is no recovery kit")
        why = _("without one, what burns with this machine and its papers cannot be restored: `vaultd kit create`")
        yield Finding(ADVICE, "kit", text, new if kits else why)
        return
    newest = good[-1]
    lacking = [
        name for name, repository in targets.items()
        if name not in newest.keys or repository not in (None, newest.repositories[name])
    ]  # fmt: skip
    if lacking:
        text = _("kit {kit} does not open the targets {targets}").format(kit=newest.id, targets=", ".join(lacking))
        yield Finding(ADVICE, "kit", text, new)
    elif all(kit.expired(today + SOON) for kit in good):
        text = _("kit {kit} expires on {day}").format(kit=newest.id, day=newest.expires)
        yield Finding(ADVICE, "kit", text, new)
    else:
        yield Finding(FINE, "kit", _("kit {kit} is there for all targets").format(kit=newest.id))
