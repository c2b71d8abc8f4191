"""A bundle on its way into another workspace."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gui.hub.signing import OWN, Signer
from gui.reconcile import by_server, score
from gui.report import FORMATS, BundleError, build, export_bundle, import_bundle, render
from gui.store import NewRequest, NoteRow, ServerEntry, Store, StoreConflictError, TestSpec
from gui.store.rows import Seal


def facts(store: Store, run: int, *, imported: int = 0) -> dict[str, Any]:
    """Everything about a run but ids of rows, and but what the last `imported` imports added."""
    report = build(store, run)
    repeats = store.repeats(run)

    def without_ids(value: Any) -> dict[str, Any]:
        hidden = {"id", "run_id", "test_id", "repeat_id", "record_mark", "origin", "seal", "server_id", "loaded",
                  "request_id"}  # fmt: skip
        return {name: item for name, item in asdict(value).items() if name not in hidden}

    def scorings(repeat: int) -> list[Any]:
        found = store.scorings(repeat)
        return found[: len(found) - imported]

    return {
        "run": without_ids(report.run),
        "tests": [test.entry.spec for test in report.tests],
        "figures": [(test.now, test.at_settle) for test in report.tests],
        "repeats": [without_ids(repeat) for repeat in repeats],
        "scorings": [[without_ids(entry) for entry in scorings(repeat.id)] for repeat in repeats],
        "requests": [[without_ids(request) for request in store.requests(repeat.id)] for repeat in repeats],
        "records": [
            [sorted(r.body for r in store.records_of(request.id)) for request in store.requests(repeat.id)]
            for repeat in repeats
        ],
        "samples": [[without_ids(sample) for sample in store.samples(repeat.id)] for repeat in repeats],
        "markers": report.markers,
        "notes": [(note.t, note.author.removesuffix(", in its bundle"), note.text) for note in report.notes][
            : len(report.notes) - imported
        ],
        "statuses": store.statuses(run),
        "steps": store.status_steps(run),
        "verdicts": [
            [[without_ids(row) for _, row in sorted(store.verdicts(entry.id).items())] for entry in scorings(repeat.id)]
            for repeat in repeats
        ],
        "servers": [without_ids(s) for s in by_server(store, [store.scorings(repeat.id)[-1].id for repeat in repeats])],
    }


def test_another_workspace_shows_the_same_run(exported: Path, world: Any, tmp_path: Path) -> None:
    with Store(tmp_path / "other.db") as other:
        imported = import_bundle(other, exported, 99.0)
        assert (imported.requests, imported.records) == (16, 13)
        assert facts(other, imported.run, imported=1) == facts(world.store, world.run)
        assert other.run(imported.run).origin == "run.tally.zip, run 1"
        assert other.unscored() == [], "the figures that came along are the newest"
        assert other.usage("server") == [], "what was read elsewhere is no use seen here"


def test_a_postgres_workspace_takes_it_too(exported: Path, world: Any, postgres: str) -> None:
    with Store(postgres) as other:
        other.allocate_tags(3)
        imported = import_bundle(other, exported, 99.0)
        assert facts(other, imported.run, imported=1) == facts(world.store, world.run)
        again = other.create_run(name="x", plan_text="", settle=1, tests=[TestSpec(1, 1, 1)], now=1.0)
        assert again == imported.run + 1
        repeat = other.start_repeat(again, 1, 1, 1.0)
        (tag,) = other.allocate_tags(1)
        other.add_requests(repeat, [NewRequest(tag, "/a", "root://s01:1094", "shared/c1", 0, 1)], 1.0)


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
            assert facts(third, import_bundle(third, tmp_path / "again.zip", 1.0).run, imported=1) == facts(second, run)


def test_the_same_run_is_taken_in_once(exported: Path, world: Any, tmp_path: Path) -> None:
    with pytest.raises(StoreConflictError, match="already in the workspace, as run 1"):
        import_bundle(world.store, exported, 1.0)
    with Store(tmp_path / "other.db") as other:
        import_bundle(other, exported, 1.0)
        with pytest.raises(StoreConflictError, match="already"):
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
        with pytest.raises(StoreConflictError, match=tag):
            import_bundle(other, exported, 1.0)
        assert other.runs() == []
        assert other.servers() == []


def test_its_figures_are_worked_out_again_and_count(exported: Path, world: Any, tmp_path: Path) -> None:
    with Store(tmp_path / "other.db") as other:
        imported = import_bundle(other, exported, 99.0)
        assert imported.sound
        assert imported.seal.differs == []
        for here, there in zip(other.repeats(imported.run), world.store.repeats(world.run), strict=True):
            said, newest = world.store.scorings(there.id)[-1], other.scorings(here.id)[-1]
            same: dict[str, Any] = {"id": 0, "repeat_id": 0, "record_mark": 0, "t": 99.0, "kind": "recheck"}
            assert replace(newest, **same) == replace(said, **same)
            assert (newest.t, newest.kind) == (99.0, "recheck")


def test_figures_that_somebody_wrote_over_are_shown_beside_the_real_ones(forge: Any, empty: Store) -> None:
    run = forge.json("run.json")
    for repeat in run["repeats"]:
        for figures in repeat["scorings"]:
            figures |= {"matched": figures["total"], "recorded": figures["total"]}
            figures |= dict.fromkeys(("late", "missing", "wrong_bytes", "duplicate", "client_failed", "not_waited"), 0)
    run["state"], run["message"] = "passed", "2 of 2 tests passed"
    imported = import_bundle(empty, forge.sealed({"run.json": msgspec.json.encode(run)}), 99.0)
    assert imported.seal.differs == [
        "test 1, repeat 1 has 5 recorded, not 8; 4 matched, not 8; 1 with wrong bytes, not 0; 2 missing, not 0; "
        "1 failed at the client, not 0",
        "test 1, repeat 2 has 6 recorded, not 8; 4 matched, not 8; 1 with wrong bytes, not 0; 1 missing, not 0; "
        "1 duplicate, not 0; 1 failed at the client, not 0",
        "its state is inconclusive, not passed",
    ]
    assert not imported.sound
    stored = empty.run(imported.run)
    assert stored.state == "inconclusive"
    assert stored.message == "Its bundle says: 2 of 2 tests passed"
    assert stored.seal == imported.seal
    report = build(empty, imported.run)
    assert report.conclusion == "inconclusive"
    assert [test.now.matched for test in report.tests] == [8]
    text = render(report, "table").decode()
    assert "Scored again on import; the bundle's figures differ: test 1, repeat 1 has 5 recorded, not 8;" in " ".join(
        text.split()
    )


def test_a_record_that_was_taken_out_is_missed(forge: Any, empty: Store) -> None:
    rows = forge.rows("records.ndjson")
    imported = import_bundle(empty, forge.with_rows("records.ndjson", rows[1:]), 99.0)
    assert imported.seal.differs == [
        "test 1, repeat 1 has 4 recorded, not 5; 3 matched, not 4; 3 missing, not 2; 4,194,309 bytes recorded, not "
        "5,242,885; 1 request with another verdict"
    ]
    (repeat, _) = empty.repeats(imported.run)
    causes = [request.cause for request in empty.requests(repeat.id) if request.lost_at == "unknown"]
    assert causes.count("the bundle does not say why") == 1


def test_who_made_it_is_known_for_ever(signed: Path, signer: Signer, empty: Store, tmp_path: Path) -> None:
    imported = import_bundle(empty, signed, 99.0, {signer.public: "anna"})
    assert imported.seal == Seal(imported.seal.checksum, "a hub", 5.0, signer.public, "anna")
    assert empty.run(imported.run).seal == imported.seal
    assert empty.notes(imported.run)[-1] == NoteRow(
        99.0, "tally", "Came in signed.tally.zip. Intact, signed with the key known as anna.", empty.notes(1)[-1].id
    )
    with Store(tmp_path / "third.db") as third:
        seal = import_bundle(third, signed, 99.0, {signer.public: OWN}).seal
        assert (seal.known, seal.changed) == (OWN, [])


def test_nobody_speaks_for_tally_in_a_bundle(forge: Any, empty: Store) -> None:
    lie = {"t": 9.0, "author": "tally", "text": "Intact, signed with the key known as anna."}
    run = import_bundle(empty, forge.run(notes=[lie]), 99.0).run
    assert [note.author for note in empty.notes(run)] == ["tally, in its bundle", "tally"]


def test_servers_that_are_known_here_keep_their_names(forge: Any, empty: Store) -> None:
    mine = ServerEntry("root://s01:1094", "the old one", ("EU",), "lab")
    empty.put_servers([mine])
    servers = [
        {"url": "root://s01:1094", "name": "evil", "labels": ["US"]},
        {"url": "root://s02:1094", "name": "two", "labels": []},
    ]
    import_bundle(empty, forge.run(servers=servers), 99.0)
    assert [replace(server, id=0) for server in empty.servers()] == [
        mine,
        ServerEntry("root://s02:1094", "two", (), "bundle"),
    ]


def test_a_run_that_was_under_way_is_not_gone_on_with(forge: Any, empty: Store) -> None:
    run = forge.json("run.json")
    run["repeats"][1] |= {"state": "settling", "scorings": []}
    run |= {"state": "running", "ended": None}
    verdicts = [row for row in forge.rows("verdicts.ndjson") if row[0] == 0]
    changes = {"run.json": msgspec.json.encode(run), "verdicts.ndjson": b"".join(
        msgspec.json.encode(row) + b"\n" for row in verdicts)}  # fmt: skip
    imported = import_bundle(empty, forge.sealed(changes), 99.0)
    stored = empty.run(imported.run)
    assert (stored.state, "not gone on with here" in stored.message) == ("aborted", True)
    assert [repeat.state for repeat in empty.repeats(imported.run)] == ["settled", "stopped"]
    assert [len(empty.scorings(repeat.id)) for repeat in empty.repeats(imported.run)] == [2, 0]


def test_a_run_that_was_deleted_can_come_in_again(exported: Path, empty: Store) -> None:
    empty.delete_run(import_bundle(empty, exported, 1.0).run)
    assert import_bundle(empty, exported, 2.0).run == 2


def test_scored_again_later_its_causes_are_those_that_it_came_with(forge: Any, empty: Store) -> None:
    rows = forge.rows("verdicts.ndjson")
    newest = max(row[1] for row in rows if row[0] == 1)
    for row in rows:
        if row[:2] == [1, newest] and row[3] == 2:
            row[10:13] = ["wire", True, "lost"]
    run = import_bundle(empty, forge.with_rows("verdicts.ndjson", rows), 99.0).run
    repeat = empty.repeats(run)[1].id
    before = empty.requests(repeat)
    score(empty, repeat, "recheck", 100.0)
    assert empty.requests(repeat) == before
    assert [(r.lost_at, r.certain, r.cause) for r in before if r.lost_at] == [("wire", True, "lost")]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_file_is_refused_or_read_but_never_raises_anything_else(
    empty: Store, signed: Path, damage: list[tuple[float, int]]
) -> None:
    content = bytearray(signed.read_bytes())
    for part, value in damage:
        content[int(part * (len(content) - 1))] = value
    path = signed.with_name("damaged.zip")
    path.write_bytes(bytes(content))
    try:
        imported = import_bundle(empty, path, 1.0)
    except BundleError:
        assert empty.runs() == []
    else:
        empty.delete_run(imported.run)


odd = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, 2**31 - 1, 2**53, 2**62, 2**63 - 1, 2**63, 1e11, 1e12, 5e-324, 1e308, -1.0, True, None, ""]),
    st.text(max_size=12),
    st.sampled_from(["\0", "\x1b[2J", "root://[::1", "a" * 9000, "../../x", "[::1", "tally", "passed"]),
    st.lists(st.integers(0, 3), max_size=2),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["run.json", "requests.ndjson", "records.ndjson", "verdicts.ndjson", "samples.ndjson"]),
       st.data(), odd)  # fmt: skip
def test_whatever_is_taken_in_can_be_shown(
    empty: Store, forge: Any, part: str, data: st.DataObject, value: Any
) -> None:
    """One value anywhere in a bundle is another one: it is declined in a sentence, or all reports can be made of it."""
    if part == "run.json":
        content = forge.json(part)
        _put(content, data, value)
        path = forge.sealed({part: msgspec.json.encode(content)})
    else:
        rows = forge.rows(part)
        _put(rows, data, value)
        path = forge.with_rows(part, rows)
    try:
        imported = import_bundle(empty, path, 99.0)
    except BundleError:
        assert empty.runs() == []
        return
    for redact in (False, True):
        report = build(empty, imported.run, redact=redact)
        for wanted in FORMATS:
            if wanted != "pdf":
                assert render(report, wanted)
    empty.delete_run(imported.run)


def test_a_record_that_is_taken_for_another_collectors_is_declined_in_a_sentence(empty: Store, forge: Any) -> None:
    rows = forge.rows("records.ndjson")
    rows[1]["kind"] = 0
    with pytest.raises(BundleError, match="has a record that is not in Tally's form"):
        import_bundle(empty, forge.with_rows("records.ndjson", rows), 99.0)


def _put(content: Any, data: st.DataObject, value: Any) -> None:
    """Put `value` in some place of a JSON value."""
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        key = data.draw(st.sampled_from(keys))
        below = content[key]
        if isinstance(below, dict | list) and below and data.draw(st.integers(0, 9)):
            content = below
            continue
        content[key] = value
        return
