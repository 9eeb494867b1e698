"""The exception tree. Each class has the exit code of the command line; an error that an operator can mend has a hint.

The text is for people and goes through gettext where it is raised. Structured facts are attributes, never text to
parse.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PARTIAL = 3
EXIT_DIFFERENCE = 4
EXIT_UNREACHABLE = 5
EXIT_NOT_AUTHORISED = 6
EXIT_NOT_RUNNING = 7


class VaultdError(Exception):
    """Something failed: ``what`` was tried, ``why`` it failed, and how to mend it (``hint``, may be empty)."""

    exit_code = EXIT_FAILED
    code = "failed"

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(f"{what}: {why}" if why else what)
        self.what = what
        self.why = why
        self.hint = hint

    def as_json(self) -> dict[str, str | int]:
        """The error object of ``--json`` and of the API (docs/json.md)."""
        return {
            "code": self.code, "exit_code": self.exit_code, "what": self.what, "why": self.why, "hint": self.hint,
        }  # fmt: skip


class ConfigError(VaultdError):
    """The configuration or the command line is wrong; nothing was changed."""

    exit_code = EXIT_USAGE
    code = "config"


class StateError(VaultdError):
    """The state folder (database, keys) is missing, damaged, in use or of another version."""

    code = "state"


class LedgerError(VaultdError):
    """The ledger cannot be written to: its folder, its key or the disk is not as it must be. Protection goes on."""

    code = "ledger"


class LedgerMissingError(LedgerError):
    """There is no ledger here."""

    code = "ledger-missing"


class LedgerStoppedError(LedgerError):
    """The ledger on this disk is older than one that was signed, or another: nothing more is signed under its name."""

    code = "ledger-stopped"


class RootError(VaultdError):
    """A vault's folder is gone, emptied, replaced or hides a missing mount: no snapshot is made of it."""

    code = "root"


class PartialError(VaultdError):
    """Done in part: some files could not be read, or a target is behind."""

    exit_code = EXIT_PARTIAL
    code = "partial"


class DifferenceError(VaultdError):
    """A verification found a difference."""

    exit_code = EXIT_DIFFERENCE
    code = "difference"


class TargetError(VaultdError):
    """A target cannot be used."""

    code = "target"


class UnreachableError(TargetError):
    """The target's server did not answer, or the line broke. Worth trying again."""

    exit_code = EXIT_UNREACHABLE
    code = "unreachable"


class HostKeyError(TargetError):
    """The server's host key is unknown or changed: never connect, raise an alert."""

    exit_code = EXIT_NOT_AUTHORISED
    code = "host-key"


class AuthenticationError(TargetError):
    """The server refused our key, or the repository our password."""

    exit_code = EXIT_NOT_AUTHORISED
    code = "authentication"


class RepositoryError(TargetError):
    """The repository is missing, damaged, full, read-only, or belongs to another host."""

    code = "repository"


class MissingRepositoryError(RepositoryError):
    """There is no repository at the target."""

    code = "repository-missing"


class ForeignRepositoryError(RepositoryError):
    """The repository is another one than before, or belongs to another host: nothing is written to it."""

    code = "repository-foreign"


class TargetFullError(RepositoryError):
    """The target's file system (or quota) is full."""

    code = "target-full"


class TargetReadOnlyError(RepositoryError):
    """The target cannot be written to."""

    code = "target-read-only"


class LockedError(RepositoryError):
    """Someone else's live run holds the repository's lock. Worth trying again. ``owner``: who, as far as it is known
    ("process 12 on icu by root")."""

    code = "locked"
    owner = ""


class ResticError(VaultdError):
    """restic is missing, too old, was killed, or failed in a way that has no class of its own."""

    code = "restic"


class NotAuthorisedError(VaultdError):
    """The caller may not do this."""

    exit_code = EXIT_NOT_AUTHORISED
    code = "not-authorised"


class NotRunningError(VaultdError):
    """The daemon does not run, and the command needs it."""

    exit_code = EXIT_NOT_RUNNING
    code = "not-running"


class BusyError(VaultdError):
    """Another vaultd process holds the state folder's lock."""

    code = "busy"
