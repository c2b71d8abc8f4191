from __future__ import annotations

import io
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gui.reconcile import by_server, rescore_late, score
from gui.report import BundleError, build, bundle, export_bundle, import_bundle
from gui.store import LostDatagram, MarkerRow, NoSuchRow, SampleRow, Store, StoreConflict, TestSpec, VerdictKind
from shoveler.service import ShovelerSender, ShovelerStatus


@pytest.fixture
def exported(world: Any, tmp_path: Path) -> Path:
    """A run with everything that a run can have, as a bundle."""
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
    world.store.set_run(world.run, state="failed", ended=world.tick(), message="done")
    path = tmp_path / "run.tally.zip"
    export_bundle(world.store, world.run, path)
    return path


def _explain(world: Any) -> None:
    """One more scoring, of a repeat that was not waited for in part, with a miss whose datagram is known."""
    entry = world.store.scorings(world.repeat)[-1]
    verdicts = world.store.verdicts(entry.id)
    missing = next(row for row in verdicts.values() if row.verdict is VerdictKind.MISSING)
    lost = LostDatagram(server="11", stod=1, cls="F", after=4, missing=1, begin=5.0, end=6.0, held="close")
    explained = replace(missing, lost_at="wire", certain=False, cause="lost", datagram=lost)
    rows = {**verdicts, missing.request_id: explained}
    world.store.add_scoring(replace(entry, kind="recheck", not_waited=1), rows.values())


def facts(store: Store, run: int) -> dict[str, Any]:
    """Everything about a run but ids of rows."""
    report = build(store, run)
    repeats = store.repeats(run)

    def without_ids(value: Any) -> dict[str, Any]:
        hidden = {"id", "run_id", "test_id", "repeat_id", "record_mark", "origin", "server_id", "loaded", "request_id"}
        return {name: item for name, item in asdict(value).items() if name not in hidden}

    return {
        "run": without_ids(report.run),
        "tests": [test.entry.spec for test in report.tests],
        "figures": [(test.now, test.at_settle) for test in report.tests],
        "repeats": [without_ids(repeat) for repeat in repeats],
        "scorings": [[without_ids(entry) for entry in store.scorings(repeat.id)] for repeat in repeats],
        "requests": [[without_ids(request) for request in store.requests(repeat.id)] for repeat in repeats],
        "records": [
            [sorted(r.body for r in store.records_of(request.id)) for request in store.requests(repeat.id)]
            for repeat in repeats
        ],
        "samples": [[without_ids(sample) for sample in store.samples(repeat.id)] for repeat in repeats],
        "markers": report.markers,
        "notes": [without_ids(note) for note in report.notes],
        "statuses": store.statuses(run),
        "steps": store.status_steps(run),
        "verdicts": [
            [
                [without_ids(row) for _, row in sorted(store.verdicts(entry.id).items())]
                for entry in store.scorings(repeat.id)
            ]
            for repeat in repeats
        ],
        "servers": [without_ids(s) for s in by_server(store, [store.scorings(repeat.id)[-1].id for repeat in repeats])],
    }


def test_another_workspace_shows_the_same_run(exported: Path, world: Any, tmp_path: Path) -> None:
    with Store(tmp_path / "other.db") as other:
        imported = import_bundle(other, exported, 99.0)
        assert (imported.requests, imported.records) == (16, 13)
        assert facts(other, imported.run) == facts(world.store, world.run)
        assert other.run(imported.run).origin == "run.tally.zip, run 1"
        assert other.unscored() == [], "the figures that came along are the newest"
        assert other.usage("server") == [], "what was read elsewhere is no use seen here"


def test_a_postgres_workspace_takes_it_too(exported: Path, world: Any, postgres: str) -> None:
    with Store(postgres) as other:
        other.allocate_tags(3)
        imported = import_bundle(other, exported, 99.0)
        assert facts(other, imported.run) == facts(world.store, world.run)
        again = other.create_run(name="x", plan_text="", settle=1, tests=[TestSpec(1, 1, 1)], now=1.0)
        assert again == imported.run + 1
        repeat = other.start_repeat(again, 1, 1, 1.0)
        (tag,) = other.allocate_tags(1)
        from gui.store import NewRequest

        other.add_requests(repeat, 1, [NewRequest(tag, "/a", "root://s01:1094", "shared/c1", 0, 1)], 1.0)


def test_it_can_be_judged_again_there(exported: Path, world: Any, tmp_path: Path) -> None:
    with Store(tmp_path / "other.db") as other:
        run = import_bundle(other, exported, 99.0).run
        for here, there in zip(other.repeats(run), world.store.repeats(world.run), strict=True):
            newest = world.store.scorings(there.id)[-1]
            again = score(other, here.id, "recheck", 100.0)
            assert (again.matched, again.late, again.missing, again.wrong_bytes) == (
                newest.matched,
                newest.late,
                newest.missing,
                newest.wrong_bytes,
            )


def test_an_import_can_be_exported_again(exported: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "b.db") as second:
        run = import_bundle(second, exported, 1.0).run
        export_bundle(second, run, tmp_path / "again.zip")
        with Store(tmp_path / "c.db") as third:
            assert facts(third, import_bundle(third, tmp_path / "again.zip", 1.0).run) == facts(second, run)


def test_the_same_run_is_taken_in_once(exported: Path, world: Any, tmp_path: Path) -> None:
    with pytest.raises(StoreConflict, match="already, as run 1"):
        import_bundle(world.store, exported, 1.0)
    with Store(tmp_path / "other.db") as other:
        import_bundle(other, exported, 1.0)
        with pytest.raises(StoreConflict, match="already"):
            import_bundle(other, exported, 1.0)


def test_agents_of_a_bundle_are_no_agents_of_ours(exported: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "other.db") as other:
        import_bundle(other, exported, 1.0)
        assert {agent.name for agent in other.agents()} == {"c1", "c2"}
        assert all(agent.identity.startswith("bundle:") for agent in other.agents())


def test_a_tag_that_was_used_here_too_is_refused(exported: Path, world: Any, tmp_path: Path) -> None:
    tag = world.store.requests(1)[0].tag
    with Store(tmp_path / "other.db") as other:
        with other.database.write() as connection:
            connection.exec_driver_sql(f"INSERT INTO tag (tag) VALUES ('{tag}')")
        with pytest.raises(StoreConflict, match=tag):
            import_bundle(other, exported, 1.0)
        assert other.runs() == []
        assert other.servers() == []


def test_export_replaces_a_file_only_when_it_is_whole(world: Any, tmp_path: Path, exported: Path) -> None:
    before = exported.read_bytes()
    with pytest.raises(NoSuchRow):
        export_bundle(world.store, 99, exported)
    assert exported.read_bytes() == before
    assert list(tmp_path.glob("*.part")) == []


# ---- bundles from people who mean no good


def edited(path: Path, **parts: bytes | None) -> Path:
    """The bundle with some parts replaced (or left out)."""
    result = path.with_name("edited.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = parts.get(name.replace(".", "_"), old.read(name))
            if content is not None:
                new.writestr(name, content)
    return result


def lines(path: Path, part: str) -> list[Any]:
    with zipfile.ZipFile(path) as archive:
        return [msgspec.json.decode(line) for line in archive.read(part).splitlines()]


def joined(rows: list[Any]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def refused(store: Store, path: Path, words: str) -> None:
    with pytest.raises(BundleError, match=words) as error:
        import_bundle(store, path, 1.0)
    assert "\n" not in str(error.value)
    assert store.runs() == []
    assert store.agents() == []
    assert store.servers() == []


@pytest.fixture
def empty(tmp_path: Path) -> Any:
    with Store(tmp_path / "empty.db") as store:
        yield store


def test_what_is_no_bundle_is_said_to_be_none(empty: Store, tmp_path: Path, exported: Path) -> None:
    (tmp_path / "text.zip").write_text("not a zip file")
    refused(empty, tmp_path / "text.zip", "is no bundle")
    with zipfile.ZipFile(tmp_path / "holiday.zip", "w") as archive:
        archive.writestr("photo.jpg", b"x")
    refused(empty, tmp_path / "holiday.zip", "no parts called manifest.json")
    refused(empty, tmp_path / "absent.zip", "cannot be read")
    refused(empty, edited(exported, records_ndjson=None), "no parts called records.ndjson")


def test_a_newer_or_other_format_is_declined_politely(empty: Store, exported: Path) -> None:
    with zipfile.ZipFile(exported) as archive:
        manifest = msgspec.json.decode(archive.read("manifest.json"))
    newer = msgspec.json.encode(manifest | {"schema": 99, "tally": "9.9"})
    refused(empty, edited(exported, manifest_json=newer), "schema 99, made by Tally 9.9.*Update Tally")
    other = msgspec.json.encode(manifest | {"format": "something"})
    refused(empty, edited(exported, manifest_json=other), "no bundle of Tally")
    refused(empty, edited(exported, manifest_json=b"{}"), "cannot be read")
    refused(empty, edited(exported, manifest_json=b"[" * 10_000), "cannot be read")


def test_counts_must_agree_with_the_manifest(empty: Store, exported: Path) -> None:
    rows = lines(exported, "requests.ndjson")
    refused(empty, edited(exported, requests_ndjson=joined(rows[:-1])), "15 lines, and its manifest says 16")
    refused(empty, edited(exported, requests_ndjson=joined([*rows, rows[0]])), "more lines than its manifest says")


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 99), (1, 99), (2, 99), (5, "UPPERCASE"), (6, ""), (7, -1), (9, 7), (10, 2), (14, 2**63), (11, "soon")],
)
def test_values_out_of_bounds_are_refused_with_their_line(
    empty: Store, exported: Path, place: int, value: object
) -> None:
    rows = lines(exported, "requests.ndjson")
    rows[3][place] = value
    refused(empty, edited(exported, requests_ndjson=joined(rows)), "Line 4 of requests|contradicts itself")


def test_requests_that_contradict_each_other_are_refused(empty: Store, exported: Path) -> None:
    rows = lines(exported, "requests.ndjson")
    rows[1] = rows[0]
    refused(empty, edited(exported, requests_ndjson=joined(rows)), "is used twice")
    rows = lines(exported, "requests.ndjson")
    rows[1][3] = 9  # one tag in two slots
    refused(empty, edited(exported, requests_ndjson=joined(rows)), "is used twice")


def test_verdicts_and_samples_must_belong_to_something(empty: Store, exported: Path) -> None:
    for change in ({0: 99}, {1: 99}, {2: 99}, {3: 77}):
        rows = lines(exported, "verdicts.ndjson")
        for place, value in change.items():
            rows[0][place] = value
        refused(empty, edited(exported, verdicts_ndjson=joined(rows)), "contradicts itself|Line 1 of verdicts")
    rows = lines(exported, "verdicts.ndjson")
    refused(empty, edited(exported, verdicts_ndjson=joined([rows[0], *rows[:-1]])), "contradicts itself")
    rows = lines(exported, "samples.ndjson")
    rows[0][2] = 50
    refused(empty, edited(exported, samples_ndjson=joined(rows)), "a sample of no repeat or server")


def test_a_run_part_that_does_not_fit_together_is_refused(empty: Store, exported: Path) -> None:
    with zipfile.ZipFile(exported) as archive:
        content = msgspec.json.decode(archive.read("run.json"))
    for change in (
        {"repeats": [content["repeats"][0]] * 2},
        {"repeats": [content["repeats"][0] | {"test": 5}]},
        {"servers": [content["servers"][0]] * 2},
    ):
        refused(empty, edited(exported, run_json=msgspec.json.encode(content | change)), "contradicts itself")


def test_a_bomb_is_refused_before_it_is_unpacked(empty: Store, exported: Path) -> None:
    zeros = b"0" * 50_000_000
    refused(empty, edited(exported, records_ndjson=zeros), "claims to unpack to 50,000,000 bytes")


def test_limits_of_size_hold(empty: Store, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_LINE", 50)
    refused(empty, exported, "is longer than 50 bytes")
    monkeypatch.setattr(bundle, "MAX_RUN", 50)
    refused(empty, exported, "is larger than 50 bytes")
    monkeypatch.setattr(bundle, "MAX_PART", 10)
    refused(empty, exported, "is larger than 10 bytes")
    monkeypatch.setattr(bundle, "MAX_FILE", 10)
    refused(empty, exported, "is larger than 10 bytes; no bundle is")


def test_a_part_that_is_there_twice_is_refused(empty: Store, exported: Path) -> None:
    doubled = exported.with_name("doubled.zip")
    doubled.write_bytes(exported.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(doubled, "a") as archive:
        archive.writestr("run.json", b"{}")
    refused(empty, doubled, "2 parts called run.json")


def test_an_encrypted_part_is_refused(empty: Store, exported: Path) -> None:
    content = bytearray(exported.read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        info = archive.getinfo("manifest.json")
    content[info.header_offset + 6] |= 1
    central = content.rindex(b"manifest.json") - 46
    content[central + 8] |= 1
    path = exported.with_name("encrypted.zip")
    path.write_bytes(bytes(content))
    refused(empty, path, "is encrypted")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_file_is_refused_or_read_but_never_raises_anything_else(
    empty: Store, exported: Path, damage: list[tuple[float, int]]
) -> None:
    content = bytearray(exported.read_bytes())
    for part, value in damage:
        content[int(part * (len(content) - 1))] = value
    path = exported.with_name("damaged.zip")
    path.write_bytes(bytes(content))
    try:
        imported = import_bundle(empty, path, 1.0)
    except (BundleError, StoreConflict):
        assert empty.runs() == []
    else:
        empty.delete_run(imported.run)
        with empty.database.write() as connection:  # so that the next example may bring the same tags and agents
            for table in ("tag", "journal", "agent", "server"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
