"""Who made a bundle, and whether it was changed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gui.hub.signing import OWN, Signer, own_signer
from gui.report import check_bundle, seal_sentence
from gui.store import Seal


def said(path: Path, signers: dict[str, str] | None = None) -> str:
    return seal_sentence(check_bundle(path, signers))


def test_a_signed_bundle_says_by_whom(signed: Path, signer: Signer) -> None:
    assert said(signed, {signer.public: OWN}) == "Intact, signed with the key of this hub."
    assert said(signed, {signer.public: "anna"}) == "Intact, signed with the key known as anna."
    assert said(signed) == f'Intact, signed with an unknown key, {signer.public} (its maker calls itself "a hub").'


def test_one_that_nobody_signed_says_so(exported: Path, forge: Any) -> None:
    assert said(exported) == "Not signed: nobody stands for it. It agrees with its own checksum."
    old = forge.json("manifest.json") | {"schema": 2}
    path = forge.changed({"manifest.json": msgspec.json.encode({k: v for k, v in old.items() if k != "parts"})})
    assert said(path) == "Not signed, and without a checksum: made by an older Tally, or by anybody."


@pytest.mark.parametrize("part", ["run.json", "requests.ndjson", "records.ndjson", "verdicts.ndjson", "samples.ndjson"])
def test_every_part_is_stood_for(part: str, signed_forge: Any, signer: Signer) -> None:
    """A blank in front of a line changes nothing but the text."""
    path = signed_forge.changed({part: b" " + signed_forge.content(part)})
    assert said(path, {signer.public: "anna"}) == (
        f"Changed after it was signed with the key known as anna: {part} is not what was signed."
    )


def test_a_changed_manifest_is_told_from_a_changed_part(signed_forge: Any, signer: Signer) -> None:
    manifest = signed_forge.json("manifest.json") | {"by": "another hub"}
    changes = {
        "manifest.json": msgspec.json.encode(manifest),
        "samples.ndjson": b" " + signed_forge.content("samples.ndjson"),
    }
    assert said(signed_forge.changed(changes), {signer.public: "anna"}) == (
        "Changed after it was signed with the key known as anna: "
        "manifest.json and samples.ndjson are not what was signed."
    )


def test_a_change_by_accident_is_seen_without_a_signature(forge: Any) -> None:
    path = forge.changed({"run.json": b" " + forge.content("run.json")})
    assert said(path) == ("Changed after it was made, by nobody knows whom: run.json is not what its checksum is of.")


def test_who_signs_what_others_made_stands_for_it(forge: Any, tmp_path: Path) -> None:
    mallory = own_signer(tmp_path / "mallory", "a hub")
    seal = check_bundle(forge.sealed({}, mallory), {})
    assert (seal.key, seal.known, seal.changed) == (mallory.public, "", [])


def test_the_checksum_is_that_of_the_manifest(exported: Path, forge: Any) -> None:
    digest = hashlib.sha256(forge.content("manifest.json")).hexdigest()
    assert check_bundle(exported) == Seal(f"sha256:{digest}", made=5.0)
