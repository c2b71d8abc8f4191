"""A bundle out of a store."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gui.hub.signing import Signer
from gui.reconcile import rescore_late
from gui.report import BundleError, check_bundle, export_bundle
from gui.report.bundle import format as limits
from gui.report.bundle import writer
from gui.store import NoSuchRowError, TestSpec


def test_a_file_is_replaced_only_when_the_bundle_is_whole(world: Any, tmp_path: Path, exported: Path) -> None:
    before = exported.read_bytes()
    with pytest.raises(NoSuchRowError):
        export_bundle(world.store, 99, exported)
    assert exported.read_bytes() == before
    assert list(tmp_path.glob("*.part")) == []


def test_the_manifest_sums_up_every_part(exported: Path, forge: Any) -> None:
    manifest = forge.json("manifest.json")
    assert (manifest["schema"], manifest["by"], manifest["made"]) == (4, "", 5.0)
    assert {name: part["lines"] for name, part in manifest["parts"].items()} == {
        "requests.ndjson": 16,
        "records.ndjson": 13,
        "verdicts.ndjson": 16,
        "samples.ndjson": 2,
        "run.json": 1,
    }
    assert {name: part["bytes"] for name, part in manifest["parts"].items()} == {
        name: len(forge.content(name)) for name in manifest["parts"]
    }


def test_the_same_run_gives_the_same_parts(world: Any, exported: Path, signer: Signer, tmp_path: Path) -> None:
    export_bundle(world.store, 1, tmp_path / "again.zip", signer)
    assert check_bundle(tmp_path / "again.zip").key == signer.public
    with zipfile.ZipFile(exported) as one, zipfile.ZipFile(tmp_path / "again.zip") as other:
        for part in limits.CONTENT:
            assert one.read(part) == other.read(part)


def test_what_comes_while_it_is_written_is_not_in_it(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record, and with it a scoring, between the parts: the bundle shows one state of the run."""
    whole = writer._records

    def records(*arguments: Any) -> Any:
        missing = next(request for request in world.store.requests(2) if request.lost_at)
        asked = sys.modules[type(world).__module__].Asked(
            missing.tag, missing.path, missing.server_url, "shared/c2", missing.size
        )
        world.store.load([world.body(asked, file_id=4711)], world.tick())
        rescore_late(world.store, world.tick())
        return whole(*arguments)

    monkeypatch.setattr(writer, "_records", records)
    before = [len(world.store.scorings(repeat)) for repeat in (1, 2)]
    export_bundle(world.store, 1, tmp_path / "now.zip")
    assert [len(world.store.scorings(repeat)) for repeat in (1, 2)] == [before[0], before[1] + 1]
    with zipfile.ZipFile(tmp_path / "now.zip") as archive:
        run = msgspec.json.decode(archive.read("run.json"))
        assert [len(repeat["scorings"]) for repeat in run["repeats"]] == before
        assert len(archive.read("records.ndjson").splitlines()) == 13
    assert check_bundle(tmp_path / "now.zip").changed == []


def test_a_run_that_is_too_large_for_a_bundle_says_so(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_RUN", 100)
    with pytest.raises(BundleError, match=r"too large for a bundle: run\.json alone has"):
        export_bundle(world.store, 1, tmp_path / "large.zip")
    assert list(tmp_path.glob("large*")) == []


def test_a_run_without_anything_is_a_bundle_too(world: Any, tmp_path: Path) -> None:
    world.begin(TestSpec(1, 1, 1), name="nothing asked")
    export_bundle(world.store, world.run, tmp_path / "nothing.zip")
    assert check_bundle(tmp_path / "nothing.zip").changed == []
