"""A run with everything that a run can have, as a bundle; and a forge for bundles from people who mean no good."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gui.hub.signing import Signer, own_signer
from gui.reconcile import rescore_late, score
from gui.report import export_bundle
from gui.store import LostDatagram, MarkerRow, SampleRow, Store, TestSpec, VerdictKind
from shoveler.service import ShovelerSender, ShovelerStatus
from tests.gui.store.world import World

T0 = 1_760_000_000.0


@dataclass
class Originals:
    """Made once, since a database takes a second to make: a run in a store, its bundles, and an empty store."""

    directory: Path

    def copy(self, name: str, to: Path) -> Path:
        return shutil.copy(self.directory / name, to / name)  # type: ignore[return-value]


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Originals:
    directory = tmp_path_factory.mktemp("bundles")
    with Store(directory / "workspace.db") as store:
        world = World(store)
        fill(world)
        signer = own_signer(directory, "a hub")
        export_bundle(store, world.run, directory / "run.tally.zip", now=lambda: 5.0)
        export_bundle(store, world.run, directory / "signed.tally.zip", signer, now=lambda: 5.0)
    Store(directory / "empty.db").close()
    return Originals(directory)


@pytest.fixture
def world(originals: Originals, tmp_path: Path) -> Iterator[Any]:
    """The world with the run that the bundles are of."""
    with Store(originals.copy("workspace.db", tmp_path)) as store:
        yield World(store, now=T0 + 1000, run=1, repeat=2)


@pytest.fixture
def new_world() -> Callable[[Store], Any]:
    """Makes a world of another store."""
    return World


@pytest.fixture
def exported(originals: Originals, tmp_path: Path) -> Path:
    """A run with everything that a run can have, as a bundle that nobody has signed."""
    return originals.copy("run.tally.zip", tmp_path)


@pytest.fixture
def signed(originals: Originals, tmp_path: Path) -> Path:
    """The same, signed."""
    return originals.copy("signed.tally.zip", tmp_path)


@pytest.fixture
def signer(originals: Originals) -> Signer:
    """Who has signed it."""
    return own_signer(originals.directory, "a hub")


@pytest.fixture
def empty(originals: Originals, tmp_path: Path) -> Iterator[Store]:
    """Another workspace, in which there is nothing."""
    with Store(originals.copy("empty.db", tmp_path)) as store:
        yield store


@pytest.fixture
def signed_forge(signed: Path) -> Forge:
    return Forge(signed)


@pytest.fixture
def forge(exported: Path) -> Forge:
    return Forge(exported)


def fill(world: Any) -> None:
    world.begin(TestSpec(2, 4, 4, repeats=2, name="t"), name="plan", host="host-a")
    for number in (1, 2):
        if number == 2:
            world.next_repeat(1, 2)
        ours = world.ask(4, server="root://s01:1094", agent="shared/c1")
        theirs = world.ask(4, server="root://s02:1094", agent="shared/c2", slot=1)
        world.read(*ours, *theirs[:3])
        world.read(theirs[3], ok=False, error="[3011] gone")
        world.record(*ours[:2], *theirs[:2])
        world.record(ours[2], read=5, known_issue=["page_checksums"])
        world.record(ours[3], final=False, incomplete=["no_close"])
        world.store.set_repeat(world.repeat, state="settled", settled=world.tick(), complete=True)
        score(world.store, world.repeat, "settle", world.tick())
    _explain(world)
    world.record(ours[3], file_id=999)
    rescore_late(world.store, world.tick())
    one, two = (server.id for server in world.store.servers())
    world.store.add_samples(world.repeat, [SampleRow(5, one, 1, 2, 3, 4, 5, 6), SampleRow(5, two, 1, 1, 1)])
    world.store.add_marker(world.run, MarkerRow(7.0, "fault", "broker down"))
    world.store.add_note(world.run, "ada", "a note", 8.0)
    world.store.put_status(
        world.run,
        ShovelerStatus(id="s", started=1.0, t=2.0, host="h", version="1", senders={"h:1": ShovelerSender(received=3)}),
    )
    world.store.add_status_step(world.run, ShovelerStatus(id="s", started=1.0, t=3.0, host="h", version="1"))
    world.store.set_run(world.run, state="inconclusive", ended=world.tick(), message="done")


def _explain(world: Any) -> None:
    """One more scoring, with a miss whose datagram is known."""
    entry = world.store.scorings(world.repeat)[-1]
    verdicts = world.store.verdicts(entry.id)
    missing = next(row for row in verdicts.values() if row.verdict is VerdictKind.MISSING)
    lost = LostDatagram(server="11", stod=1, cls="F", after=4, missing=1, begin=5.0, end=6.0, held="close")
    explained = replace(missing, lost_at="wire", certain=False, cause="lost", datagram=lost)
    rows = {**verdicts, missing.request_id: explained}
    world.store.add_scoring(replace(entry, kind="recheck"), rows.values())


@dataclass
class Forge:
    """Makes other bundles of a bundle."""

    path: Path

    def content(self, part: str) -> bytes:
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(part)

    def json(self, part: str) -> Any:
        return msgspec.json.decode(self.content(part))

    def rows(self, part: str) -> list[Any]:
        return [msgspec.json.decode(line) for line in self.content(part).splitlines()]

    def parts(self) -> dict[str, bytes]:
        with zipfile.ZipFile(self.path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def changed(self, changes: dict[str, bytes | None], name: str = "forged.tally.zip") -> Path:
        """With some parts replaced, or left out, and nothing else: the sums of its manifest are the old ones."""
        parts = {name: content for name, content in (self.parts() | changes).items() if content is not None}
        path = self.path.with_name(name)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, content in parts.items():
                archive.writestr(part, content)
        return path

    def sealed(self, changes: dict[str, bytes], signer: Signer | None = None, **manifest: Any) -> Path:
        """With some parts replaced, and sums, numbers and signature made anew: as good as whoever made it can."""
        parts = {part: content for part, content in (self.parts() | changes).items() if part != "signature.json"}
        said = msgspec.json.decode(parts.pop("manifest.json"))
        said["parts"] = {
            part: {
                "lines": len(content.splitlines()),
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            for part, content in parts.items()
        }
        for part in ("requests", "records", "verdicts", "samples"):
            said[part] = said["parts"][f"{part}.ndjson"]["lines"]
        text = msgspec.json.encode(said | manifest)
        extra: dict[str, bytes | None] = {"manifest.json": text, "signature.json": None}
        if signer is not None:
            signature = signer.sign(b"tally-bundle manifest\n" + text)
            extra["signature.json"] = msgspec.json.encode({"key": signer.public, "signature": signature})
        return self.changed({**parts, **extra})

    def run(self, **changes: Any) -> Path:
        """With other values in ``run.json``."""
        return self.sealed({"run.json": msgspec.json.encode(self.json("run.json") | changes)})

    def with_rows(self, part: str, rows: list[Any]) -> Path:
        """With other lines in a part."""
        return self.sealed({part: joined(rows)})

    def scorings(self, **changes: Any) -> Path:
        """With other figures in every scoring."""
        run = self.json("run.json")
        for repeat in run["repeats"]:
            repeat["scorings"] = [scoring | changes for scoring in repeat["scorings"]]
        return self.sealed({"run.json": msgspec.json.encode(run)})


def joined(rows: list[Any]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
