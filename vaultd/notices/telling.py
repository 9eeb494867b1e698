"""A ``Tell`` that knows the configuration: what is handed over stays on the host as it is, and leaves it fit to be
told."""

from __future__ import annotations

import logging

from vaultd.config.model import Config
from vaultd.i18n import speaking
from vaultd.notices import guard, outbox
from vaultd.notices.model import Notice, Tell

log = logging.getLogger(__name__)


def teller(config: Config) -> Tell:
    """Puts notices into the outbox of a host. A text that names a path of a vault is held back (``guard``), with a line
    in the log. Write texts inside ``i18n.speaking(config.notify.lang)``."""
    paths = [vault.path for vault in config.vault]

    def tell(notice: Notice) -> None:
        with speaking(config.notify.lang):
            fit = guard.fit(notice, paths, allow_names=config.notify.allow_names)
            if fit is not notice:
                log.error("a notice about %s names a path of a vault: its text is held back", fit.of)
            outbox.put(config.host.state, notice, shown=fit)

    return tell
