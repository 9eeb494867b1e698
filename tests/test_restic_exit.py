"""Every way in which restic ends has one class of error, and none is a success by mistake."""

from __future__ import annotations

import json

import pytest

from vaultd import errors
from vaultd.restic import Finished
from vaultd.restic.exit import CODES, DONE, UNREAD, error_of

SSH = "subprocess ssh: "
SESSION = "Fatal: unable to open repository at sftp:t:r: unable to start the sftp session, error: unexpected EOF"


def said(message: str, *lines: str, code: int = 1) -> str:
    end = json.dumps({"message_type": "exit_error", "code": code, "message": message})
    return "\n".join([*lines, end])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, errors.ResticError),
        (3, errors.ResticError),
        (10, errors.MissingRepositoryError),
        (11, errors.LockedError),
        (12, errors.AuthenticationError),
        (126, errors.ResticError),
        (127, errors.ResticError),
        (130, errors.ResticError),
        (2, errors.ResticError),
        (77, errors.ResticError),
        (-9, errors.ResticError),
        (-15, errors.ResticError),
    ],
)
def test_code_has_its_class_and_a_hint(code: int, kind: type[errors.VaultdError]) -> None:
    found = error_of(Finished(code, "", False, 1.0), "it failed")
    assert type(found) is kind
    assert found.why and found.hint and found.what == "it failed"


@pytest.mark.parametrize("code", [*CODES, 2, 99, -9, 255])
def test_only_zero_is_done(code: int) -> None:
    assert error_of(Finished(code, "", False, 1.0), "x") is not None
    assert error_of(Finished(DONE, "", False, 1.0), "x") is None


def test_unread_files_are_no_exception_where_the_caller_takes_them() -> None:
    assert error_of(Finished(UNREAD, "", False, 1.0), "x", allowed=(DONE, UNREAD)) is None


def test_stalled_run_is_unreachable_whatever_its_code() -> None:
    for code in (0, -9, 1):
        assert isinstance(error_of(Finished(code, "", True, 1.0), "x"), errors.UnreachableError)


@pytest.mark.parametrize(
    ("stderr", "kind"),
    [
        (
            said(
                SESSION,
                SSH + "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
                SSH + "Host key verification failed.",
            ),
            errors.HostKeyError,
        ),
        (said(SESSION, SSH + "Host key verification failed."), errors.HostKeyError),
        (said(SESSION, SSH + "root@h: Permission denied (publickey)."), errors.AuthenticationError),
        (said(SESSION, SSH + 'Load key "/k": invalid format'), errors.AuthenticationError),
        (said(SESSION, SSH + "ssh: connect to host h port 22: Connection refused"), errors.UnreachableError),
        (said(SESSION, SSH + "ssh: connect to host h port 22: No route to host"), errors.UnreachableError),
        (said(SESSION, SSH + "Timeout, server h not responding."), errors.UnreachableError),
        (said("Fatal: unable to save snapshot: connection lost"), errors.UnreachableError),
        (
            said("Fatal: cannot dump file: ReadFull(<data/a6>): file is too short: unexpected EOF"),
            errors.RepositoryError,
        ),
        (said(SESSION), errors.UnreachableError),
        (said("Fatal: unable to save snapshot: sftp: no space left on device"), errors.TargetFullError),
        (said("Fatal: unable to create lock in backend: mkdir: read-only file system"), errors.TargetReadOnlyError),
        (said("Fatal: Resolving password failed: Fatal: /x does not exist"), errors.AuthenticationError),
        (said("Fatal: something new"), errors.ResticError),
    ],
)
def test_failure_is_told_apart_by_its_words(stderr: str, kind: type[errors.VaultdError]) -> None:
    found = error_of(Finished(1, stderr, False, 1.0), "x")
    assert type(found) is kind
    assert found.hint and "{" not in found.why and "Fatal" not in found.why


def test_changed_and_unknown_host_key_are_told_apart() -> None:
    changed = error_of(Finished(1, SSH + "REMOTE HOST IDENTIFICATION HAS CHANGED\n" + SSH + "Offending", False, 1), "x")
    unknown = error_of(Finished(1, SSH + "No ED25519 host key is known for h", False, 1), "x")
    assert changed is not None and unknown is not None and changed.why != unknown.why


def test_name_of_a_file_never_passes_for_a_word_of_ssh() -> None:
    line = json.dumps(
        {
            "message_type": "error",
            "error": {"message": "open /v/Host key verification failed: no"},
            "during": "archival",
            "item": "/v/Host key verification failed",
        }
    )
    found = error_of(Finished(1, said("Fatal: something new", line), False, 1.0), "x")
    assert type(found) is errors.ResticError


def test_run_that_gave_up_says_why() -> None:
    retry = 'Save(<lock/ae3e2d045a>) returned error, retrying after 5.5s: OpenFile r/locks/ae: sftp: "Failure"'
    assert isinstance(error_of(Finished(-15, retry, False, 1.0, True), "x"), errors.TargetReadOnlyError)
    lost = "Save(<data/ae3e2d045a>) returned error, retrying after 5.5s: connection lost"
    assert isinstance(error_of(Finished(130, lost, False, 1.0, True), "x"), errors.UnreachableError)
