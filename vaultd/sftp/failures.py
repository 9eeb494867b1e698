"""What goes wrong on the way to a server, as vaultd's errors."""

from __future__ import annotations

from vaultd.errors import UnreachableError
from vaultd.i18n import _


def unreachable(name: str, error: BaseException) -> UnreachableError:
    """The server ``name`` (a target's name, or host and port) did not answer, or the line broke."""
    if isinstance(error, TimeoutError):
        why = _("it did not answer in time")
    elif isinstance(error, EOFError):
        why = _("the line to the server broke")
    else:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return UnreachableError(
        _("{name} cannot be reached").format(name=name),
        why,
        _("check that the server runs and the line is up; it is tried again by itself"),
    )
