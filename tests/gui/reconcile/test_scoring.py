from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gui.reconcile import LiveCounts, by_server, figures, ladder_of, rescore_late, score
from gui.store import NoSuchRowError, TestSpec, VerdictKind

MIB = 1 << 20


def verdicts(world: Any) -> list[VerdictKind | None]:
    return [request.verdict for request in world.store.requests(world.repeat)]


def test_all_recorded_is_all_matched_and_costs_no_verdict_rows(any_world: Any) -> None:
    world = any_world
    world.begin()
    asked = world.ask(20)
    world.read(*asked)
    world.record(*asked)
    entry = score(world.store, world.repeat, "settle", world.tick())
    assert (entry.total, entry.matched, entry.recorded, entry.good, entry.counted) == (20, 20, 20, 20, 20)
    assert entry.bytes_asked == entry.bytes_got == entry.bytes_recorded == 20 * MIB
    assert world.store.verdicts(entry.id) == {}
    assert verdicts(world) == [VerdictKind.MATCHED] * 20
    assert entry.first_open is not None
    assert entry.last_close is not None
    assert entry.last_close > entry.first_open


def test_every_verdict_at_once(any_world: Any) -> None:
    world = any_world
    world.begin(TestSpec(1, 9, 9))
    matched, wrong, missing, twice, failed, interrupted, recovered, pending, partly = world.ask(9)
    world.read(matched, wrong, missing, twice, recovered, partly)
    world.read(failed, ok=False, error="[3011] no such file")
    world.read(interrupted, ok=False, interrupted=True)
    world.record(matched, twice, failed)
    world.record(twice)
    world.record(wrong, read=MIB - 1)
    world.record(recovered, read=MIB // 4)
    world.record(recovered, read=MIB - MIB // 4)
    world.record(partly, final=False, read=5, incomplete=["no_close"])
    stray = world.ask(1)[0]
    stray.path = "/never/asked"
    world.record(stray)
    entry = score(world.store, world.repeat, "settle", world.tick())
    assert verdicts(world)[:9] == [
        VerdictKind.MATCHED,
        VerdictKind.WRONG_BYTES,
        VerdictKind.MISSING,
        VerdictKind.DUPLICATE,
        VerdictKind.CLIENT_FAILED,
        VerdictKind.CLIENT_FAILED,
        VerdictKind.MATCHED,
        VerdictKind.CLIENT_FAILED,
        VerdictKind.MISSING,
    ]
    # The tenth request is the pending one of the stray record's tag.
    assert (entry.total, entry.matched, entry.wrong_bytes, entry.missing, entry.duplicate) == (10, 2, 1, 2, 1)
    assert (entry.client_failed, entry.unreported, entry.unrequested, entry.recovered) == (4, 2, 1, 2)
    assert entry.recorded == 5, "matched, wrong, twice, failed, recovered"
    assert entry.bytes_recorded == MIB + (MIB - 1) + 2 * MIB + MIB + MIB + 5
    rows = world.store.verdicts(entry.id)
    assert rows[9].lost_at == "collector"
    assert not rows[9].certain, "its close may have been lost with the last datagram of its server"
    assert rows[7].accesses == 2
    assert rows[8].cause == "not reported by its client"
    (record,) = world.store.unrequested(world.repeat)
    assert record.path == "/never/asked"
    assert pending.path


def test_paths_are_compared_even_when_their_keys_agree(any_world: Any) -> None:
    """Two paths with one 64-bit hash cannot be found, so the database is told that they have one."""
    world = any_world
    world.begin()
    a, b = world.ask(2)
    world.read(a, b)
    world.record(a)
    with world.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE request SET match_key = 5")
        connection.exec_driver_sql("UPDATE record SET match_key = 5")
    entry = score(world.store, world.repeat, "settle", world.tick())
    assert verdicts(world) == [VerdictKind.MATCHED, VerdictKind.MISSING]
    assert entry.unrequested == 0


def test_records_with_the_same_path_belong_to_their_own_tag(world: Any) -> None:
    world.begin()
    (a,) = world.ask(paths=["/same"])
    (b,) = world.ask(paths=["/same"])
    world.read(a, b)
    world.record(b)
    score(world.store, world.repeat, "settle", world.tick())
    assert verdicts(world) == [VerdictKind.MISSING, VerdictKind.MATCHED]


def test_runs_cannot_leak_into_one_another(world: Any) -> None:
    world.begin()
    first = world.repeat
    asked = world.ask(3)
    world.read(*asked)
    world.next_repeat()
    again = world.ask(3)
    world.read(*again)
    world.record(*asked)
    one = score(world.store, first, "settle", world.tick())
    two = score(world.store, world.repeat, "settle", world.tick())
    assert (one.matched, one.unrequested, two.matched, two.missing, two.unrequested) == (3, 0, 0, 3, 0)


def test_an_empty_repeat_scores_nothing(any_world: Any) -> None:
    any_world.begin()
    entry = score(any_world.store, any_world.repeat, "settle", 1.0)
    assert (entry.total, entry.matched, entry.counted) == (0, 0, 0)
    with pytest.raises(NoSuchRowError):
        score(any_world.store, 99, "settle", 1.0)


def test_late_records_score_the_run_again_and_both_figures_stay(any_world: Any) -> None:
    world = any_world
    world.begin(TestSpec(1, 4, 4))
    a, b, c, d = world.ask(4)
    world.read(a, b, c, d)
    world.record(a)
    world.record(b, read=MIB // 2)
    settle = score(world.store, world.repeat, "settle", world.tick())
    assert (settle.matched, settle.wrong_bytes, settle.missing) == (1, 1, 2)
    assert rescore_late(world.store, world.tick()) == [], "nothing new, nothing to do"

    world.record(b, read=MIB // 2)  # the other half of a recovered transfer
    world.record(c)
    world.record(d, read=7)
    (late,) = rescore_late(world.store, world.tick())
    assert (late.kind, late.matched, late.late, late.wrong_bytes, late.missing) == ("late", 1, 2, 1, 0)
    assert verdicts(world) == [VerdictKind.MATCHED, VerdictKind.LATE, VerdictKind.LATE, VerdictKind.WRONG_BYTES]
    assert [entry.good for entry in world.store.scorings(world.repeat)] == [1, 3]
    assert world.store.scorings(world.repeat)[0] == settle
    (note,) = world.store.notes(world.run)
    assert note.text == "Test 1, repeat 1: late records changed matched from 1 to 3 of 4."
    assert rescore_late(world.store, world.tick()) == []
    # A third look still knows which ones were late.
    again = score(world.store, world.repeat, "recheck", world.tick())
    assert (again.matched, again.late) == (1, 2)


def test_a_journal_that_comes_late_is_no_late_record(world: Any) -> None:
    world.begin()
    a, b = world.ask(2)
    world.read(a)
    world.record(a, b)
    settle = score(world.store, world.repeat, "settle", world.tick())
    assert (settle.matched, settle.client_failed, settle.unreported) == (1, 1, 1)
    world.read(b)
    again = score(world.store, world.repeat, "recheck", world.tick())
    assert (again.matched, again.late, again.client_failed) == (2, 0, 0)


def test_servers_stand_side_by_side(any_world: Any) -> None:
    world = any_world
    world.begin()
    ours = world.ask(3, server="root://s01:1094")
    theirs = world.ask(3, server="root://s02:1094")
    world.read(*ours, *theirs[:2])
    world.read(theirs[2], ok=False)
    world.record(*ours, theirs[0])
    entry = score(world.store, world.repeat, "settle", world.tick())
    one, two = by_server(world.store, [entry.id])
    assert (one.name, one.requested, one.read, one.recorded, one.success) == ("root://s01:1094", 3, 3, 3, 100.0)
    assert (one.bytes_asked, one.bytes_recorded, one.lost_at) == (3 * MIB, 3 * MIB, "")
    assert (two.requested, two.read, two.recorded, two.missing, two.client_failed) == (3, 2, 1, 1, 1)
    assert two.success == 50.0
    assert two.lost_at == "unknown"
    assert two.bytes_recorded == MIB


# ---- facts of the original validation scripts (docs/peers.md, V), turned round


def test_v3_duplicates_and_strangers_are_seen_where_a_dictionary_hides_them(world: Any) -> None:
    """V3: seven records (three duplicates, four of others) were kept as two, and nobody saw it."""
    world.begin()
    a, b = world.ask(2)
    world.read(a, b)
    world.record(a, b)
    world.record(a)
    world.record(b)
    world.record(b)
    for number in range(4):
        stranger = world.body(a, session_tag="other", appinfo=None, access=f"{number:032x}")
        assert world.store.load([stranger], world.tick()).foreign == 1
    entry = score(world.store, world.repeat, "settle", world.tick())
    assert (entry.duplicate, entry.matched) == (2, 0)
    assert sum(row.accesses for row in world.store.usage("user", own=False)) == 4
    assert [len(world.store.records_of(number)) for number in (1, 2)] == [2, 3]


def test_v4_nine_of_ten_are_nine_stored_and_none_goes_to_the_next_test(world: Any) -> None:
    """V4: with nine of ten no record was acknowledged, and all came back in the next test."""
    world.begin(TestSpec(1, 10, 10))
    asked = world.ask(10)
    world.read(*asked)
    assert world.record(*asked[:9]).stored == 9
    entry = score(world.store, world.repeat, "settle", world.tick())
    assert (entry.matched, entry.missing) == (9, 1)
    world.next_repeat()
    more = world.ask(10)
    world.read(*more)
    world.record(*asked[:9], *more)
    second = score(world.store, world.repeat, "settle", world.tick())
    assert (second.matched, second.unrequested) == (10, 0)


def test_v5_the_total_is_what_was_asked_also_when_rounds_do_not_divide_it(world: Any) -> None:
    """V5: 10 files at 3 a round issued 9."""
    world.begin(TestSpec(1, 10, 3))
    names = [f"/f{n}" for n in range(10)]
    for number, start in enumerate(range(0, 10, 3), 1):
        round_ = world.ask(paths=names[start : start + 3], number=number)
        world.read(*round_)
        world.record(*round_)
    entry = score(world.store, world.repeat, "settle", world.tick())
    (test,) = world.store.tests(world.run)
    assert entry.total == test.spec.total == 10
    assert figures(test.spec, [entry]).conclusion == "pass"


def test_v6_a_client_that_failed_is_no_loss_of_monitoring(world: Any) -> None:
    """V6: what was requested was written down before the read, so a missing file counted as a lost record."""
    world.begin(TestSpec(1, 4, 4))
    a, b, c, d = world.ask(4)
    world.read(a, b, c)
    world.read(d, ok=False, error="[3011] No such file or directory")
    world.record(a, b, c)
    entry = score(world.store, world.repeat, "settle", world.tick())
    assert (entry.missing, entry.client_failed, entry.counted) == (0, 1, 3)
    (test,) = world.store.tests(world.run)
    assert figures(test.spec, [entry]).success == 100.0
    ladder = ladder_of(world.store, 4)
    assert ladder is not None
    assert (ladder.lost_at, ladder.cause) == ("client", "[3011] No such file or directory")


def test_v7_a_record_that_comes_after_the_wait_is_late_and_not_missing(world: Any) -> None:
    """V7: after a fixed sleep of 60 s everything later was missing."""
    world.begin(TestSpec(1, 2, 2))
    a, b = world.ask(2)
    world.read(a, b)
    world.record(a)
    score(world.store, world.repeat, "settle", world.tick())
    world.now += 3600
    world.record(b)
    (late,) = rescore_late(world.store, world.tick())
    assert (late.missing, late.late, late.good) == (0, 1, 2)


@pytest.mark.parametrize(("count", "wrong"), [(10, 10), (50, 50), (100, 100), (4, 3)])
def test_v8_wrong_bytes_are_found_one_by_one(world: Any, count: int, wrong: int) -> None:
    """V8: their own data has tests of 10, 50 and 100 files with all bytes wrong, and one with 3 of 4."""
    world.begin(TestSpec(1, count, count))
    asked = world.ask(count)
    world.read(*asked)
    world.record(*asked[:wrong], read=MIB - 4096)
    world.record(*asked[wrong:])
    entry = score(world.store, world.repeat, "settle", world.tick())
    assert (entry.wrong_bytes, entry.matched, entry.recorded) == (wrong, count - wrong, count)
    (test,) = world.store.tests(world.run)
    assert figures(test.spec, [entry]).conclusion == "fail"


# ---- any mixture of requests and records, against a plain model

access = st.fixed_dictionaries(
    {
        "request": st.integers(0, 5),  # 5: a path that was never asked for
        "access": st.integers(0, 4),
        "file_id": st.integers(1, 3),
        "final": st.booleans(),
        "read": st.sampled_from([0, 5, 10]),
        "readv": st.sampled_from([0, 0, 7]),
        "early": st.booleans(),
    }
)
outcome = st.sampled_from(["ok", "ok", "ok", "failed", "interrupted", "started", "pending"])


def model(outcomes: list[str], records: list[dict[str, Any]], sizes: list[int]) -> tuple[list[str], dict[str, int]]:
    """What a person with paper and pencil would say, without SQL and without the code under test."""
    words: list[str] = []
    unrequested = {(r["request"], r["access"], r["final"]) for r in records if r["request"] >= len(outcomes)}
    recorded = 0
    for number, said in enumerate(outcomes):
        mine: dict[tuple[int, bool], dict[str, Any]] = {}
        for r in records:
            if r["request"] == number:
                mine.setdefault((r["access"], r["final"]), r)  # the first one stays
        finals = [r for (_, is_final), r in mine.items() if is_final]
        valid = finals + [r for (a, is_final), r in mine.items() if not is_final and (a, True) not in mine]
        recorded += bool(finals)
        total = sum(r["read"] for r in valid)
        vector = sum(r["readv"] for r in valid)
        twice = len({r["file_id"] for r in finals}) < len(finals)
        if said != "ok":
            words.append("client_failed")
        elif not finals:
            words.append("missing")
        elif twice:
            words.append("duplicate")
        elif total == sizes[number] and vector == 0:
            words.append("matched")
        elif len(valid) > 1 and (total > sizes[number] or vector > 0):
            words.append("duplicate")
        else:
            words.append("wrong_bytes")
    return words, {"unrequested": len(unrequested), "recorded": recorded}


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(outcome, min_size=1, max_size=5), st.lists(access, max_size=14))
def test_scoring_agrees_with_a_plain_model(world: Any, outcomes: list[str], records: list[dict[str, Any]]) -> None:
    world.begin()
    sizes = [10, 5, 20, 15, 0][: len(outcomes)]
    asked = world.ask(paths=[f"/f{n}" for n in range(len(outcomes))])
    for a, size in zip(asked, sizes, strict=True):
        a.size = size
    stray = type(asked[0])(asked[0].tag, "/stray", asked[0].server, asked[0].agent, 0)
    for a, said in zip(asked, outcomes, strict=True):
        if said == "started":
            world.start(a)
        elif said != "pending":
            world.read(a, ok=said == "ok", interrupted=said == "interrupted")
    live = LiveCounts(world.store, world.repeat)
    early = [r for r in records if r["early"]]
    ordered = early + [r for r in records if not r["early"]]

    def load(part: list[dict[str, Any]]) -> None:
        world.store.load(
            [
                world.body(
                    asked[r["request"]] if r["request"] < len(asked) else stray,
                    final=r["final"],
                    file_id=r["file_id"],
                    access=blake2b(f"{world.repeat} {r['request']} {r['access']}".encode(), digest_size=16).hexdigest(),
                    read=r["read"],
                    readv=r["readv"],
                )
                for r in part
            ],
            world.tick(),
        )

    load(early)
    words, _ = model(outcomes, early, sizes)
    settle = score(world.store, world.repeat, "settle", world.tick())
    assert [v.word for v in verdicts(world)] == words
    live.look(world.now)

    load(ordered[len(early) :])
    final_words, more = model(outcomes, ordered, sizes)
    expected = [
        "late" if now == "matched" and then in ("missing", "wrong_bytes", "duplicate") else now
        for then, now in zip(words, final_words, strict=True)
    ]
    again = score(world.store, world.repeat, "late", world.tick())
    assert [v.word for v in verdicts(world)] == expected
    counts = Counter(expected)
    assert counts == Counter({kind: n for kind in counts if (n := getattr(again, kind))}), (
        "the sums say what the rows say"
    )
    assert (again.unrequested, again.recorded) == (more["unrequested"], more["recorded"])
    assert world.store.scorings(world.repeat) == [settle, again]
    (server,) = by_server(world.store, [again.id])
    assert (server.requested, server.recorded, server.missing) == (again.total, again.recorded, again.missing)
    assert (server.matched, server.late, server.wrong_bytes) == (again.matched, again.late, again.wrong_bytes)
    assert (server.bytes_recorded, server.bytes_asked) == (again.bytes_recorded, again.bytes_asked)

    seen = live.look(world.now)
    failed = {n for n, said in enumerate(outcomes) if said in ("failed", "interrupted")}
    have_final = {r["request"] for r in records if r["final"]}
    assert seen.requested == len(outcomes)
    assert seen.failed == len(failed)
    assert seen.unrecorded == len(set(range(len(outcomes))) - failed - have_final)
    assert seen.recorded == len(have_final & (set(range(len(outcomes))) - failed))
