"""[media]: how media are numbered, who approves what, and how long a destruction certificate is kept."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vaultd.config.labels import LONGEST_LABEL, PART
from vaultd.config.values import NonEmpty, Table, Text, refuse
from vaultd.i18n import _


def _scheme(value: Any) -> str:
    if isinstance(value, str) and value.isprintable() and " " not in value and len(value) <= LONGEST_LABEL:
        names = [match[1] for match in PART.finditer(value)]
        plain = PART.sub("", value)
        wide = all(match[2] != "0" for match in PART.finditer(value))
        last = value.endswith("}") and names[-1:] == ["number"]
        if (
            names in (["number"], ["year", "number"])
            and last
            and wide
            and not set("{}") & set(plain)
            and plain
            and value[0] not in "-=+@"
        ):
            return value
    refuse(
        _("text without blanks that ends with {number}, such as {example}").format(
            number="{number:5}", example='"SH1-{year}-{number:5}"'
        )
    )


def _levels(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or len(set(map(str, value))) != len(value) or len(value) > 9:
        refuse(_("a list of one to nine roles, each once"))
    return value


class MediaConfig(Table):
    """[media]. ``label``: how new labels are numbered; what is before the number tells this site's labels from those
    of others. ``approvers``: the roles that may approve transfers and check-outs; empty: every [[person]].

    ``destruction_approvals``: the roles that must approve a destruction, in this order. ``keep_years``: how long a
    certificate is to be kept.
    """

    organisation: Text = ""
    label: Annotated[str, BeforeValidator(_scheme)] = "M-{year}-{number:5}"
    approvers: list[NonEmpty] = Field(default_factory=list)
    destruction_approvals: Annotated[list[NonEmpty], BeforeValidator(_levels)] = Field(
        default=["head of department", "secrecy office", "head of institution"]
    )
    keep_years: Annotated[int, Field(ge=1, le=100)] = 10
