"""What a kit holds. It comes from paper, or from a server that may be anybody's by then: read with suspicion."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from vaultd.config import TargetConfig
from vaultd.config.values import AbsolutePath, Host, Name, NonEmpty, User
from vaultd.i18n import _
from vaultd.kit.faults import KitError

KitId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_BASE64 = "(?:[A-Za-z0-9+/]{4}){4,4000}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
HostKeyLine = Annotated[str, StringConstraints(pattern=rf"^[a-z0-9@.-]{{1,64}} {_BASE64}$")]
MOST = 64


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class KitTarget(_Part):
    """A target, and how it is reached with nothing but this: ``password`` opens the restic key ``key`` of the
    repository ``repository``; ``identity`` is a private key in OpenSSH's form; ``host_keys`` "ssh-ed25519 AAAA..."."""

    name: Name
    host: Host
    port: Annotated[int, Field(ge=1, le=65535)]
    user: User
    path: NonEmpty
    host_keys: Annotated[list[HostKeyLine], Field(min_length=1, max_length=MOST)]
    repository: Hex64
    key: Hex64
    password: Annotated[str, Field(min_length=16, max_length=256, repr=False)]
    identity: Annotated[str, Field(max_length=16384, repr=False)]

    def config(self, identity: Path, password_file: Path) -> TargetConfig:
        """As the configuration has a target."""
        return TargetConfig(
            name=self.name, host=self.host, port=self.port, user=self.user, path=self.path,
            identity=identity, password_file=password_file,
        )  # fmt: skip


class KitVault(_Part):
    """A vault of the lost host: its folder there, and where it is off-site."""

    name: Name
    path: AbsolutePath
    classification: NonEmpty
    targets: Annotated[list[Name], Field(max_length=MOST)]


class KitLedger(_Part):
    """The ledger's name and public root key (a vkey). Secret, and only where that was asked for: ``root_private``, the
    root key for paper; ``signing_key``, the key that signs (PEM), without which no new host goes on under that name."""

    origin: NonEmpty
    root_key: NonEmpty
    root_private: Annotated[str | None, Field(repr=False)] = None
    signing_key: Annotated[str | None, Field(repr=False)] = None


class Content(_Part):
    """A whole kit. ``organisation``: as it is printed on the sheets."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    kit: KitId
    host: Name
    organisation: str = ""
    created: NonEmpty
    expires: date | None = None
    targets: Annotated[list[KitTarget], Field(min_length=1, max_length=MOST)]
    vaults: Annotated[list[KitVault], Field(max_length=1024)]
    ledger: KitLedger | None = None

    def encoded(self) -> bytes:
        """As JSON; what says nothing is left out."""
        found = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def parse(raw: bytes) -> Content:
    """A kit's content. Raises KitError for anything else, without showing what is in it."""
    try:
        return Content.model_validate(json.loads(raw))
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in one["loc"][:3]) for one in error.errors()})
        raise KitError(
            _("the content of the kit"), _("it is not as this vaultd writes it: {places}").format(
                places=", ".join(places[:5])),
            _("a newer vaultd may have made it: use that"),
        ) from None  # fmt: skip
    except (ValueError, RecursionError):
        raise KitError(_("the content of the kit"), _("it is no JSON")) from None
