"""Who made a bundle, and whether it was changed since.

The manifest has a sum (SHA-256) of each part, and the maker's hub signs the manifest. So whoever holds the maker's
public key knows that a bundle is as its maker wrote it; without a signature the sums tell only of accidents and of
careless changes, as anybody can write new ones. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from gui.hub.signing import OWN, is_signed
from gui.report.bundle.format import CONTENT, MANIFEST, Manifest, PartSum, Signature
from gui.store import Seal

_SAID_OF = b"tally-bundle manifest\n"
"""In front of what is signed, so that no signature of a bundle is ever one of anything else."""


def to_sign(manifest: bytes) -> bytes:
    """What the signature of this manifest is of."""
    return _SAID_OF + manifest


def seal_of(
    manifest: Manifest,
    text: bytes,
    signature: Signature | None,
    sums: Mapping[str, PartSum],
    signers: Mapping[str, str],
) -> Seal:
    """The seal of a bundle whose manifest reads `text`, and whose parts came to `sums`.

    `signers`: names of known keys, by key."""
    changed = [part for part in CONTENT if manifest.parts and manifest.parts.get(part) != sums[part]]
    if signature is not None and not is_signed(signature.key, to_sign(text), signature.signature):
        changed.insert(0, MANIFEST)
    return Seal(
        checksum=f"sha256:{sha256(text).hexdigest()}" if manifest.parts else "",
        by=manifest.by,
        made=manifest.made,
        key="" if signature is None else signature.key,
        known="" if signature is None else signers.get(signature.key, ""),
        changed=changed,
    )


def seal_sentence(seal: Seal) -> str:
    """A seal in words, for one line."""
    if seal.changed:
        what = " and ".join((", ".join(seal.changed[:-1]), seal.changed[-1])) if seal.changed[1:] else seal.changed[0]
        if seal.key:
            return f"Changed after it was signed with {_who(seal)}: {what} {_is(seal)} not what was signed."
        return f"Changed after it was made, by nobody knows whom: {what} {_is(seal)} not what its checksum is of."
    if seal.key:
        return f"Intact, signed with {_who(seal)}."
    if seal.checksum:
        return "Not signed: nobody stands for it. It agrees with its own checksum."
    return "Not signed, and without a checksum: made by an older Tally, or by anybody."


def _is(seal: Seal) -> str:
    return "are" if seal.changed[1:] else "is"


def _who(seal: Seal) -> str:
    if seal.known == OWN:
        return "the key of this hub"
    if seal.known:
        return f"the key known as {seal.known}"
    claim = f" (its maker calls itself {msgspec.json.encode(seal.by).decode()})" if seal.by else ""
    return f"an unknown key, {seal.key}{claim}"
