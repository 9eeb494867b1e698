"""What an exit of restic means: one table for its codes, one for the prose behind "code 1".

This is the one place of vaultd that looks at prose of restic and ssh. restic gives one code for every failure of the
line, the disk and the server, so only the words tell them apart. A text that is not recognised is still a failure, only
with a less helpful class: nothing here ever turns a failure into success.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from vaultd.errors import (
    AuthenticationError,
    HostKeyError,
    LockedError,
    MissingRepositoryError,
    RepositoryError,
    ResticError,
    TargetFullError,
    TargetReadOnlyError,
    UnreachableError,
    VaultdError,
)
from vaultd.i18n import N_, _
from vaultd.restic import messages
from vaultd.restic.process import Finished

DONE = 0
UNREAD = 3  # a snapshot was made, and some of its files could not be read
NOT_SAID = ""


@dataclass(frozen=True, slots=True)
class _Case:
    error: type[VaultdError]
    why: str  # empty: restic's own words
    hint: str


CODES: dict[int, _Case] = {
    1: _Case(ResticError, NOT_SAID, N_("run `vaultd doctor`")),
    UNREAD: _Case(ResticError, N_("some files could not be read"), N_("see the list of unread files")),
    10: _Case(
        MissingRepositoryError,
        N_("there is no repository at the target"),
        N_("check the target's path; `vaultd init` makes a repository where there is none"),
    ),
    11: _Case(
        LockedError,
        N_("another run holds the repository's lock"),
        N_("wait for it; if no restic runs anywhere on this repository, remove the lock: restic unlock"),
    ),
    12: _Case(
        AuthenticationError,
        N_("the repository does not open with this password"),
        N_("check the file that password_file of the target names"),
    ),
    126: _Case(ResticError, N_("the program cannot be executed"), N_("check the mode of the restic program")),
    127: _Case(ResticError, N_("the program is gone"), N_("install restic 0.18 or newer")),
    130: _Case(ResticError, N_("restic was interrupted"), N_("it is run again by itself")),
}
"""Exit codes of restic >= 0.18 (126, 127: of the gate's shell). Any other code is a failure in restic's own words."""

_UNREACHABLE_HINT = N_("check that the server runs and the line is up; it is tried again by itself")

PROSE: tuple[tuple[tuple[str, ...], _Case], ...] = (
    # The order matters: ssh's reason comes before restic's "unable to start the sftp session", which follows it.
    (
        ("remote host identification has changed", "offending key", "offending ecdsa key", "offending ed25519 key"),
        _Case(
            HostKeyError,
            N_("the server's host key has changed"),
            N_("somebody may be in between: ask the server's owner for its fingerprint, then `vaultd target trust`"),
        ),
    ),
    (
        ("host key verification failed", "host key is known for"),
        _Case(
            HostKeyError,
            N_("the server's host key is not known"),
            N_("compare its fingerprint with the server's owner, then `vaultd target trust`"),
        ),
    ),
    (
        ("load key ", "bad permissions", "no such identity", "identity file"),
        _Case(
            AuthenticationError,
            N_("our private key cannot be used"),
            N_("check the file that the target's identity names: its owner, mode 0600, and no passphrase on it"),
        ),
    ),
    (
        ("permission denied (publickey", "permission denied (password", "too many authentication failures"),
        _Case(
            AuthenticationError,
            N_("the server refuses our key"),
            N_("add our public key to the server's authorized_keys, and check user and identity of the target"),
        ),
    ),
    (
        (
            "connection refused", "connection timed out", "operation timed out", "no route to host",
            "network is unreachable", "could not resolve hostname", "name or service not known",
            "temporary failure in name resolution", "host is down",
        ),
        _Case(UnreachableError, NOT_SAID, _UNREACHABLE_HINT),
    ),
    (
        ("resolving password failed",),
        _Case(
            AuthenticationError,
            N_("the repository's password cannot be read"),
            N_("check the file that the target's password_file names: it must exist and be readable for vaultd"),
        ),
    ),
    (
        ("repository is already locked", "unable to create lock in backend: repository is already locked"),
        CODES[11],
    ),
    (
        ("no space left on device", "disk quota exceeded"),
        _Case(
            TargetFullError,
            N_("the target is full"),
            N_("make room there: `vaultd target check` shows how much is free"),
        ),
    ),
    (
        ("file is too short",),  # restic has asked the server for its size; "unexpected EOF" follows
        _Case(
            RepositoryError,
            N_("the repository is damaged"),
            N_("run `restic check` on it; keep it as it is until you know what happened"),
        ),
    ),
    (
        (
            "broken pipe", "connection reset", "connection closed", "connection lost", "client_loop", "kex_exchange",
            "connection to ", "timeout, server", "ssh command exited", "unable to start the sftp session",
            "unexpected eof", "server response",
        ),
        _Case(UnreachableError, N_("the line to the server broke"), _UNREACHABLE_HINT),
    ),
    (
        (
            "read-only file system", "permission denied", "ssh_fx_permission_denied", "operation not permitted",
            'returned error, retrying after',
        ),
        _Case(
            TargetReadOnlyError,
            N_("the repository cannot be written"),
            N_("check owner and mode of the repository's folder at the target, and whether it is mounted read-only"),
        ),
    ),
    (
        ("config file already exists", "already initialized"),
        _Case(
            RepositoryError,
            N_("there is a repository already"),
            N_("use it as it is, or name another path: path of the target"),
        ),
    ),
    (
        ("ciphertext verification failed", "invalid data returned", "is corrupted", "not found in any index", "repair"),
        _Case(
            RepositoryError,
            N_("the repository is damaged"),
            N_("run `restic check` on it; keep it as it is until you know what happened"),
        ),
    ),
)  # fmt: skip
"""Words (lower case) of ssh and restic in a failure with code 1, and what they mean. The first match counts."""


FROM_SSH = 4
"""The first so many lines of the table are believed only from ssh itself: restic's words may hold names of files."""

_SSH = "subprocess ssh: "


_OWNER = re.compile(r"already locked(?: exclusively)? by PID (\d+) on (\S+) by (\S+)")


def words_of(finished: Finished) -> str:
    """What restic and ssh said, without JSON around it, one line each."""
    lines = []
    for line in finished.stderr.splitlines():
        message = messages.parse(line)
        if isinstance(message, messages.ExitError):
            lines.append(message.message.strip())
        elif isinstance(message, messages.Error):
            lines.append(message.error.message.strip())
        elif message is None and line.strip():
            lines.append(line.strip())
    return "\n".join(lines)


def _by_prose(finished: Finished) -> tuple[_Case, str]:
    """The case of a failure with code 1, and the words that say it best."""
    said = [line.removeprefix("Fatal: ") for line in words_of(finished).splitlines()]
    by_ssh = [line for line in said if line.startswith(_SSH)]
    for number, (needles, case) in enumerate(PROSE):
        for line in reversed(by_ssh if number < FROM_SSH else said):
            if any(needle in line.lower() for needle in needles):
                return case, line.removeprefix(_SSH)
    by_restic = [line for line in said if not line.startswith(_SSH)] or said
    return CODES[1], by_restic[-1] if by_restic else _("exit code {code}").format(code=finished.code)


def error_of(finished: Finished, what: str, allowed: Iterable[int] = (DONE,)) -> VaultdError | None:
    """The exception for how a run ended (to be raised by the caller), or None when its code is one of ``allowed``.

    ``what`` says in a person's words what was tried. An unknown code is a failure.
    """
    if finished.stalled:
        return UnreachableError(
            what,
            _("nothing moved for too long, so the run was ended (after {seconds:.0f} s in all)").format(
                seconds=finished.duration
            ),
            _(_UNREACHABLE_HINT),
        )
    if finished.code in allowed:
        return None
    if finished.code < 0 and not finished.gave_up:
        name = signal.Signals(-finished.code).name if -finished.code in signal.valid_signals() else str(finished.code)
        return ResticError(
            what,
            _("restic was killed ({signal})").format(signal=name),
            _("if this happens again, look for the out-of-memory killer: journalctl -k"),
        )
    by_prose, words = _by_prose(finished)
    case = by_prose if finished.code == 1 or finished.gave_up else CODES.get(finished.code, CODES[1])
    if finished.lost_line and case is CODES[1]:
        return UnreachableError(what, _("the line to the server broke"), _(_UNREACHABLE_HINT))
    error = case.error(what, _(case.why) or words, _(case.hint))
    owner = _OWNER.search(words_of(finished))
    if isinstance(error, LockedError) and owner is not None:
        error.owner = _("process {pid} on {host} by {user}").format(pid=owner[1], host=owner[2], user=owner[3])
        error.why = _("{owner} holds the repository's lock").format(owner=error.owner)
    return error
