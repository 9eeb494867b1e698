"""The main job, told on one machine: a vault, an off-site place, changes, a lost host, and everything back.

Every step is what a user would do: the commands are vaultd's own, run as processes; only the server is the demo's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from vaultd import names, status
from vaultd.control.client import Client
from vaultd.demo import children
from vaultd.demo.changes import Change, Lag, Measure, all_changes
from vaultd.demo.ending import EndedError, Ending
from vaultd.demo.layout import HOST, TARGET, VAULT, Layout
from vaultd.demo.material import Filled, Filler
from vaultd.demo.offsite import OffsiteServer
from vaultd.demo.teller import Teller
from vaultd.errors import NotRunningError, VaultdError
from vaultd.files import make_private_directory
from vaultd.i18n import _, ngettext
from vaultd.restore.compare import Difference, Entry, describe, differences
from vaultd.sftp import HostKey
from vaultd.units import duration, files, number, size

PROTECT_SECONDS = 300.0
CHANGE_SECONDS = 180.0
SHOWN_DIFFERENCES = 10
ASK_SECONDS = 0.2
"""How often the daemon is asked how far it is."""

Report = dict[str, Any]


class Story:
    """One demo in ``layout.folder``. ``report`` grows as it goes: the object of ``--json``."""

    def __init__(self, layout: Layout, server: OffsiteServer, teller: Teller, ending: Ending, wanted: int) -> None:
        self.layout = layout
        self.server = server
        self.tell = teller
        self.ending = ending
        self.wanted = wanted
        self.daemon = children.Daemon(layout, ending)
        self.client = Client(layout.socket)
        self.report: Report = {"version": 1, "same": False}
        self._measure: Measure | None = None

    def run(self) -> bool:
        """Tell all of it; whether what came back is what was lost."""
        begun = time.monotonic()
        try:
            self._fill()
            self._go_off_site()
            self._protect()
            for change in all_changes(self.layout.vault):
                self._change(change)
            expected = self._lose()
            self._restore()
            self.report["same"] = self._compare(expected)
        except EndedError:
            raise
        except VaultdError as error:
            words = self.daemon.last_words()
            if not words:
                raise
            why = _("{why}; the daemon's last words: {words}").format(why=error.why or error.what, words=words)
            told = VaultdError(error.what, why, error.hint)
            told.exit_code = error.exit_code
            raise told from error
        finally:
            self.close()
        self.report["seconds"] = round(time.monotonic() - begun, 1)
        return bool(self.report["same"])

    def close(self) -> None:
        """End the daemon, if it runs, and let go of the state."""
        if self._measure is not None:
            self._measure.close()
            self._measure = None
        self.daemon.kill()  # what it leaves half done is removed, or a test of what a crash leaves

    # -- the steps ---------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        self.tell.chapter(_("A folder worth protecting"))
        make_private_directory(self.layout.vault)

        def moved(now: Filled) -> None:
            self.ending.check()
            self.tell.working(_("copying real files"), now.bytes, self.wanted, files(now.files))

        filled = Filler(self.layout.vault, self.wanted, moved).fill()
        self.report["vault"] = asdict(filled)
        self.tell.done(
            _("a vault filled with {files}, {size}").format(files=files(filled.files), size=size(filled.bytes)),
            ", ".join(filled.sources),
        )

    def _go_off_site(self) -> None:
        self.tell.chapter(_("A place off-site"))
        self.tell.working(_("starting an OpenSSH server"))
        port = self.server.start()
        self.layout.mark(port)
        fingerprint = self._fingerprint()
        self.report["offsite"] = {"port": port, "host_key": fingerprint}
        self.tell.done(
            _("an OpenSSH server of the demo's own, port {port} of this machine").format(port=port), fingerprint
        )
        self.tell.working(_("making the repository"))
        children.command(
            self.layout, self.ending,
            [
                "init", "--batch", "--host-name", HOST,
                "--state", str(self.layout.state), "--cache", str(self.layout.state / "cache"),
                "--socket", str(self.layout.socket), "--target", TARGET, "--server", self.server.host,
                "--port", str(port), "--user", self.server.user, "--path", "repository",
                "--identity", str(self.server.identity), "--password-file", str(self.layout.password),
                "--folder", str(self.layout.vault), "--vault", VAULT, "--classification", "secret",
                "--host-key", fingerprint,
            ], lambda: self.tell.working(_("making the repository")),
        )  # fmt: skip
        self.tell.done(
            _("its host key pinned, an encrypted repository made, with a new password"), "vaultd init"
        )  # fmt: skip

    def _protect(self) -> None:
        self.tell.chapter(_("Protected, all the time"))
        self.tell.working(_("starting the daemon"))
        self.daemon.start(self._answers)
        begun = time.monotonic()
        self._measure = Measure(self.layout)

        def settled() -> bool:
            self.daemon.check()
            self._show_progress()
            state = self._vault_state()
            if state == status.BLOCKED:  # it would stay so
                raise VaultdError(_("the vault is not protected"), self._alerts())
            return state == status.PROTECTED

        if not self.ending.wait_for(settled, PROTECT_SECONDS, ASK_SECONDS):
            raise VaultdError(_("the vault is not protected in time"), self._vault_state())
        seconds = time.monotonic() - begun
        self.report["first_protection_seconds"] = round(seconds, 1)
        self.tell.done(
            _("the daemon watches; everything is off-site after {duration}").format(duration=duration(seconds)),
            "vaultd run",
        )  # fmt: skip

    def _change(self, change: Change) -> None:
        measure, found = self._measure, list[Lag]()
        if measure is None:
            raise AssertionError("changes come after the protection")
        if "changes" not in self.report:
            self.report["changes"] = []
            self.tell.chapter(_("Changes, and how long until each is off-site"))
        made = measure.begin(change)

        def there() -> bool:
            self.daemon.check()
            self.tell.working(f"{change.words()}: {change.shown()}")
            lag = measure.lag(change, made)
            found.extend([lag] if lag else [])
            return bool(found)

        if not self.ending.wait_for(there, CHANGE_SECONDS):
            raise VaultdError(_("the change is not off-site in time"), change.words())
        lag = found[0]
        self.report["changes"].append(
            {"kind": change.kind, "files": change.files, "seconds": round(lag.seconds, 2), "snapshot": lag.snapshot,
             "snapshot_kind": lag.kind} | names.as_json(change.path)
        )  # fmt: skip
        counted = f"  ({files(change.files)})" if change.files > 1 else ""
        self.tell.done(
            f"{change.words()}: {change.shown()}{counted}",
            _("off-site after {duration}").format(duration=duration(lag.seconds)),
        )

    def _lose(self) -> dict[bytes, Entry]:
        """Note what is in the vault, then take daemon, state and vault away."""
        self.tell.chapter(_("The host is lost"))
        measure = self._measure
        if measure is None or not self.ending.wait_for(measure.settled, CHANGE_SECONDS):
            raise VaultdError(_("the vault is not protected in time"), self._vault_state())
        self.tell.working(_("noting what the vault holds"))
        expected = describe(self.layout.vault)
        self.report["kilobytes_off_site"] = children.size_of(self.layout.offsite)[1] // 1024
        measure.close()
        self._measure = None
        self.daemon.kill()
        make_private_directory(self.layout.lost)
        self.layout.vault.rename(self.layout.lost / "vault")
        self.layout.state.rename(self.layout.lost / "state")
        self.tell.done(_("its daemon is killed, its state and its vault are gone"))
        return expected

    def _restore(self) -> None:
        layout = self.layout
        make_private_directory(layout.new_host)
        total = children.size_of(layout.lost / "vault")[0]
        begun = time.monotonic()

        def show() -> None:
            count, _bytes = children.size_of(layout.restored)
            self.tell.working(_("a new machine restores"), count, total, files(count))

        # No configuration, and the empty folder for all that it writes beside the restored files.
        found = children.command(
            layout, self.ending, restore_command(layout, self.server), show, temporary=layout.new_host
        )  # fmt: skip
        seconds = time.monotonic() - begun
        self.report["restore"] = {"seconds": round(seconds, 1), "outcome": found.get("outcome")}
        self.tell.done(
            _("a new machine has restored it, with the repository, the password and the host key alone"),
            duration(seconds),
        )

    def _compare(self, expected: Mapping[bytes, Entry]) -> bool:
        self.tell.working(_("comparing"))
        found = differences(expected, describe(self.layout.restored))
        self.report["compared"] = len(expected)
        self.report["differences"] = [
            {"what": one.what, "text": str(one)} | names.as_json(one.path) for one in found[:1000]
        ]  # fmt: skip
        if found:
            self._tell_differences(found)
            return False
        self.tell.done(
            _("{count} files, folders and links compared: no difference").format(count=number(len(expected))),
            _("content, names, owners, modes, times, links, attributes"),
        )
        return True

    def _tell_differences(self, found: Sequence[Difference]) -> None:
        count = len({one.path for one in found})
        self.tell.failed(
            ngettext("{count} path is not as it was", "{count} paths are not as they were", count).format(count=count)
        )
        for one in found[:SHOWN_DIFFERENCES]:
            self.tell.failed(str(one))

    # -- small things ------------------------------------------------------------------------------------------

    def _fingerprint(self) -> str:
        kind, key = self.server.known_hosts_line().split()[1:3]
        return HostKey(kind, key).fingerprint

    def _answers(self) -> bool:
        try:
            self.client.progress()
        except NotRunningError:
            return False
        return True

    def _vault_state(self) -> str:
        return str(self.client.status()["state"])

    def _alerts(self) -> str:
        return "; ".join(alert["text"] for alert in self.client.alerts())

    def _show_progress(self) -> None:
        text = _("first protection")
        for run in self.client.progress():
            if run["phase"] == "backup":
                self.tell.working(text, run["bytes_done"], run["bytes_total"], files(run["files_done"]))
                return
        self.tell.working(text)


def restore_command(layout: Layout, server: OffsiteServer) -> list[str]:
    """What is typed on the new machine."""
    return [
        "restore", VAULT, "--to", str(layout.restored),
        "--repository", f"sftp://{server.user}@{server.host}:{server.port}/repository",
        "--host-key", " ".join(server.known_hosts_line().split()[1:3]),
        "--identity", str(server.identity), "--password-file", str(layout.password),
    ]  # fmt: skip
