"""``cryptsetup luksDump --dump-json-metadata``: what unlocking needs besides a passphrase."""

from __future__ import annotations

import json
import re


def needs(text: str) -> tuple[str, ...]:
    """ "tpm" when a key slot is bound to this machine's TPM and there is no other way in; "token" for a FIDO2 key or a
    smart card in the same way. Nothing when it is not told."""
    try:
        found = json.loads(text)
        slots, tokens = found.get("keyslots", {}), found.get("tokens", {})
        bound = {str(slot) for token in tokens.values() for slot in token.get("keyslots", [])}
        kinds = {str(token.get("type", "")) for token in tokens.values()}
        free = {str(slot) for slot in slots} - bound
    except (ValueError, AttributeError, TypeError, RecursionError):
        kinds = set(re.findall(r"^\s+\d+: ([\w-]+)$", text.partition("Tokens:")[2].partition("Digests:")[0], re.M))
        bound = set(re.findall(r"Keyslot:\s+(\d+)", text.partition("Tokens:")[2]))
        free = set(re.findall(r"^\s+(\d+): luks2", text, re.M)) - bound
    if not bound or free:
        return ()
    if any("tpm" in kind for kind in kinds):
        return ("tpm",)
    return ("token",) if kinds else ()
