from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.campaign.presets import find_preset
from gui.reconcile import rescore_late, score
from gui.report import RunReport, build, csv_table, html_report, json_report, text_table
from gui.report.checks import junit_report, markdown_report
from gui.report.content import fair
from gui.report.table import harmless, printable
from gui.store import ServerEntry, TestSpec
from shoveler.service import CollectorStatus, ServerProcess, ShovelerSender, ShovelerStatus

NUMBER = re.compile(r"-?\d+(\.\d+)?")


def finish(world: Any, asked: list, lost: int = 0) -> None:
    world.read(*asked)
    world.record(*asked[lost:])
    score(world.store, world.repeat, "settle", world.tick())


def _rule(lines: list[str]) -> int:
    """The line between the header and the rows."""
    return next(place for place, line in enumerate(lines) if line.startswith("─"))


@pytest.fixture
def run(world: Any) -> Any:
    """Two servers, three repeats of 20 files, one record missing in the second repeat."""
    world.begin(TestSpec(2, 10, 5, repeats=3, name="2×10"))
    for number in (1, 2, 3):
        if number > 1:
            world.next_repeat(1, number)
        asked = world.ask(10, server="root://s01:1094") + world.ask(10, server="root://s02:1094")
        finish(world, asked, lost=number == 2)
    world.store.set_run(world.run, state="failed", ended=world.tick())
    return world


def test_the_table_begins_with_the_seeds_columns(run: Any) -> None:
    lines = text_table(build(run.store, run.run)).splitlines()
    assert lines[0] == "Run 1  a plan  FAIL  0 of 1 test passed  started 2025-10-09T08:53:21Z"
    assert lines[1] == "59 of 60 requests matched; the worst repeat has 95.00 %."
    row = lines[_rule(lines) + 1].split()
    assert row[:6] == ["1", "2×10", "2", "10", "20", "5/server"], "which test it is, and the seed's columns"
    assert " ".join(row[6:19]) == "19.67 98.33 % 95.00 % 100 % FAIL 73.81 – 99.99 % 3"
    header = " ".join(" ".join(line.split()) for line in lines[2 : _rule(lines)])
    for word in ("Num.", "servers", "Req.", "Success", "recorded", "interval", "Min", "Max", "Achieved", "Pass at"):
        assert word in header


def test_it_says_what_is_of_one_repeat_and_what_of_all(run: Any) -> None:
    lines = text_table(build(run.store, run.run)).splitlines()
    scopes = lines[_rule(lines) - 1].split()
    assert scopes == [
        *("Test", "Name", "servers", "/repeat", "/repeat", "round", "/repeat", "all", "/repeat", "/repeat", "Verdict"),
        *("all", "Repeats", *["/repeat"] * 4, *["all"] * 6),
    ]
    assert any(line.startswith("/repeat: of one repeat") for line in lines)


def test_a_test_of_one_repeat_has_no_such_line(world: Any) -> None:
    world.begin(TestSpec(1, 2, 2))
    finish(world, world.ask(2))
    assert "/repeat" not in text_table(build(world.store, world.run))


def test_columns_line_up(run: Any) -> None:
    lines = text_table(build(run.store, run.run)).splitlines()
    rule, row = lines[_rule(lines)], lines[_rule(lines) + 1]
    assert len(row) == len(rule)
    ends = [place for place in range(1, len(rule)) if rule[place - 1] == "─" and rule[place] == " "]
    assert all(row[place] == " " for place in ends)


def test_a_table_too_wide_for_the_terminal_becomes_several(run: Any) -> None:
    report = build(run.store, run.run)
    wide = text_table(report)
    assert text_table(report, 1000) == wide
    assert max(map(len, wide.splitlines())) > 100
    for width in (80, 100, 130):
        narrow = text_table(report, width).splitlines()
        assert max(map(len, narrow)) <= width
        rows = [line.split() for above, line in itertools.pairwise(narrow) if above.startswith("─")]
        assert len(rows) > 1
        assert all(row[:2] == ["1", "2×10"] for row in rows), "each says which test it is"
        assert rows[0][2:8] == ["2", "10", "20", "5/server", "19.67", "98.33"]
        assert rows[0][-1] == "FAIL"
        shown = sorted(itertools.chain(rows[0], *(row[2:] for row in rows[1:])))
        whole = wide.splitlines()
        assert shown == sorted(whole[_rule(whole) + 1].split()), "nothing is left out"


def test_late_figures_stand_beside_those_at_settle(run: Any) -> None:
    missing = run.body_of_missing = run.store.requests(2)[0]
    asked = run.ask(1)[0]
    asked.tag, asked.path, asked.server = missing.tag, missing.path, missing.server_url
    run.record(asked)
    rescore_late(run.store, run.tick())
    text = text_table(build(run.store, run.run))
    assert "Test 1: 98.33 % when waiting ended, 100.00 % with what came late." in text
    assert "PASS" in text
    assert "FAIL" not in text


def test_after_late_records_every_format_has_one_state_one_conclusion_and_one_sentence(run: Any) -> None:
    run.store.set_run(run.run, message="59 of 60 requests matched; the worst repeat has 95.00 %. And s1 was slow.")
    missing = run.store.requests(2)[0]
    asked = run.ask(1)[0]
    asked.tag, asked.path, asked.server = missing.tag, missing.path, missing.server_url
    run.record(asked)
    rescore_late(run.store, run.tick())
    said = "60 of 60 requests matched; the worst repeat has 100.00 %. And s1 was slow."
    stored = run.store.run(run.run)
    assert (stored.state, stored.message) == ("passed", said)
    report = build(run.store, run.run)
    content = json.loads(json_report(report))
    assert (content["run"]["state"], content["run"]["message"], content["conclusion"]) == ("passed", said, "pass")
    page = html_report(report)
    for text in (text_table(report), page):
        assert "FAIL" not in text
    assert said in page


def test_a_report_does_not_believe_a_state_that_was_written_down_before_late_records(run: Any) -> None:
    run.store.set_run(run.run, state="passed", message="60 of 60 requests matched; the worst repeat has 100.00 %.")
    report = build(run.store, run.run)  # as a bundle says, or a Tally that did not follow late records
    assert (report.run.state, report.conclusion) == ("failed", "fail")
    assert report.run.message == "59 of 60 requests matched; the worst repeat has 95.00 %."


def test_client_failures_and_recoveries_are_remarked(world: Any) -> None:
    world.begin(TestSpec(1, 3, 3))
    a, b, c = world.ask(3)
    world.read(a, b)
    world.read(c, ok=False, error="open: [ERROR] refused")
    world.record(a)
    world.record(b, read=1)
    world.record(b, read=(1 << 20) - 1)
    score(world.store, world.repeat, "settle", world.tick())
    world.store.set_repeat(world.repeat, complete=False, reason="the limit of 90 s was reached")
    world.store.set_run(world.run, state="inconclusive", ended=world.tick())
    text = text_table(build(world.store, world.run))
    assert "1 request took more than one access (recovered by the client)" in text
    assert "1 request failed at the client and is not counted; more than 1 %, so nothing is concluded." in text
    assert f"1.example.org:1094, {c.path}: open: [ERROR] refused." in text  # what it was, and where
    assert "Test 1, repeat 1: the limit of 90 s was reached." in text
    assert "INCONCLUSIVE" in text


def test_it_says_why_records_are_missing(world: Any) -> None:
    world.begin(TestSpec(1, 2, 2))
    world.read(*world.ask(2))
    score(world.store, world.repeat, "settle", world.tick())
    text = text_table(build(world.store, world.run))
    assert "Test 1: 2 missing: unknown: neither shoveler nor collector sent a status" in text


def test_every_verdict_that_is_not_zero_has_a_line_with_its_cause(world: Any) -> None:
    world.begin(TestSpec(1, 8, 8))
    lost, wrong, twice, failed, *others = world.ask(8)
    world.read(lost, wrong, twice, *others)
    world.read(failed, ok=False, error="[ERROR] refused")
    world.record(wrong, read=5, known_issue=["http_put_zero"])
    world.record(twice, file_id=7)
    world.record(twice, file_id=7, access="00" * 16)
    world.record(*others)
    stray = replace(others[0], path="/never/asked")
    world.record(stray)
    score(world.store, world.repeat, "settle", world.tick())
    text = text_table(build(world.store, world.run))
    for line in (
        "Test 1: 1 missing: unknown: neither shoveler nor collector",
        f"Test 1: 1 wrong bytes: http_put_zero ×1; {wrong.server}, {wrong.path}: 1,048,576 bytes asked, 5 recorded.",
        f"Test 1: 1 duplicate: no known behaviour explains it; {twice.server}, {twice.path}: 1,048,576",
        "Test 1: 1 record has a tag of ours and a path that it never asked for.",
        "Test 1: 1 request failed at the client",
    ):
        assert line in text, text


def test_what_was_not_waited_for_is_said_and_not_counted(world: Any) -> None:
    world.begin(TestSpec(1, 4, 4))
    asked = world.ask(4)
    world.read(*asked)
    world.record(*asked[:3])
    world.store.set_repeat(world.repeat, state="stopped", ended=world.now, settled=world.now + 2, complete=False)
    score(world.store, world.repeat, "settle", world.tick())
    report = build(world.store, world.run)
    text = text_table(report)
    assert "Test 1: 1 request without a record is not counted: the run was stopped before it could be told" in text
    (test,) = report.tests
    assert (test.now.success, test.now.missing, test.now.conclusion) == (100.0, 0, "none")
    content = msgspec.json.decode(json_report(report))
    (odd,) = content["odd_requests"]
    assert (odd["verdict"], odd["answer"]) == ("not_waited", "the run was stopped before its record could have come")
    assert (content["servers"][0]["not_waited"], content["servers"][0]["success"]) == (1, 100.0)


def test_what_is_said_of_all_is_counted_and_not_taken_from_the_list(world: Any) -> None:
    """With 100,000 misses the remark once said 1,000, all of one repeat."""
    world.begin(TestSpec(2, 20, 20, repeats=2))
    for repeat in (1, 2):
        if repeat > 1:
            world.next_repeat(1, repeat)
        asked = world.ask(20, server="root://s01:1094") + world.ask(20, server="root://s02:1094")
        world.read(*asked[:30])
        for one in asked[30:]:
            world.read(one, ok=False, error=f"[ERROR] no {one.path} here")
        for one in asked[:12]:
            world.record(one, read=5, known_issue=["http_put_zero"])
        score(world.store, world.repeat, "settle", world.tick())
    report = build(world.store, world.run, max_odd=6)
    assert len(report.odd) == 6
    text = text_table(report)
    for line in (
        "Test 1: 36 missing: unknown: neither",
        "Test 1: missing by server: root://s02:1094 20, root://s01:1094 16.",
        "Test 1: missing were opened from 2025-10-09T08:5",
        "Test 1: 24 wrong bytes: http_put_zero ×24; ",
        "Test 1: 20 failed at the client, as at root://s02:1094, /store/test/f0011.root: [ERROR] no /store/test/f0011",
    ):
        assert line in text, text
    (test,) = msgspec.json.decode(json_report(report))["tests"]
    odd = test["not_matched"]
    assert [(one["lost_at"], one["count"]) for one in odd["stages"]] == [("unknown", 36)]
    assert [(one["error"], one["count"]) for one in odd["errors"]] == [("[ERROR] no … here", 20)]
    assert [(one["verdict"], one["names"], one["count"]) for one in odd["behaviours"]] == [
        ("wrong_bytes", ["http_put_zero"], 24)
    ]
    assert sum(one["missing"] for one in odd["times"]) == 36


def test_the_list_has_its_part_of_each_repeat_and_each_verdict(world: Any) -> None:
    world.begin(TestSpec(1, 30, 30, repeats=2))
    for repeat in (1, 2):
        if repeat > 1:
            world.next_repeat(1, repeat)
        asked = world.ask(30)
        world.read(*asked)
        world.record(asked[0], read=5)
        score(world.store, world.repeat, "settle", world.tick())
    report = build(world.store, world.run, max_odd=10)
    assert report.odd_total == 60
    kinds = [(report.test_of(q)[1], q.verdict.word) for q in report.odd if q.verdict]
    assert kinds == [(1, "missing")] * 4 + [(1, "wrong_bytes")] + [(2, "missing")] * 4 + [(2, "wrong_bytes")]
    assert [(report.test_of(q)[1]) for q in report.listed(4)] == [1, 1, 2, 2]


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(0, 200))
def test_a_fair_part_is_all_that_fits_and_nobody_has_less_than_who_wants_more(counts: list[int], limit: int) -> None:
    parts = fair(counts, limit)
    assert sum(parts) <= limit
    assert all(part <= count for part, count in zip(parts, counts, strict=True))
    short = [part for part, count in zip(parts, counts, strict=True) if part < count]
    assert sum(parts) == sum(counts) or sum(parts) > limit - max(len(counts), 1)
    assert not short or min(short) >= max(parts) - 1


def inferred(world: Any) -> RunReport:
    """A run with a miss whose cause is inferred, not proven."""
    world.begin(TestSpec(1, 2, 2), fstat_seconds=1, flush_seconds=1)
    a, b = world.ask(2)
    world.read(a, b)
    world.record(a, server_id="11")
    # Spoken later than the server may hold a close back: else the answer is that nobody can know.
    head: dict[str, Any] = {"started": 0.0, "t": world.now + 9, "host": "h", "version": "1"}
    senders = {"192.0.2.1:9": ShovelerSender(received=1)}
    server = ServerProcess(sender="192.0.2.1:9", sid="11", stod=int(world.now) - 900, clock=world.now + 9)
    for status in (
        ShovelerStatus(id="s", senders=senders, **head),
        CollectorStatus(id="c", processes=[server], **head),
    ):
        world.store.put_status(world.run, status)
    score(world.store, world.repeat, "settle", world.tick())
    return build(world.store, world.run)


@pytest.mark.parametrize(
    "render",
    [
        lambda report: text_table(report),
        lambda report: html_report(report),
        lambda report: json_report(report).decode(),
        lambda report: " ".join(request.answer for request in report.odd),
        lambda report: " ".join(server.answer for server in report.servers),
    ],
    ids=["table", "html", "json", "requests", "servers"],
)
def test_what_is_inferred_says_probably_in_every_place(world: Any, render: Callable[[RunReport], str]) -> None:
    text = render(inferred(world))
    told = [m.start() for m in re.finditer("the server sent nothing", text)]
    assert told
    proven = [
        text[:at][-40:] for at in told if not text[:at].endswith("probably ") and '"cause": "' not in text[at - 12 : at]
    ]
    assert proven == [], "JSON has the bare cause beside ``certain``, nothing else has it"


def test_a_run_without_results_says_so(world: Any) -> None:
    world.begin()
    text = text_table(build(world.store, world.run))
    assert "no result" in text
    assert "–" in text


def test_csv_has_plain_numbers(run: Any) -> None:
    (row,) = csv.DictReader(io.StringIO(csv_table(build(run.store, run.run))))
    assert row["num_servers"] == "2"
    assert row["total_files"] == "20"
    assert float(row["recorded_avg"]) == pytest.approx(59 / 3)
    assert row["success"] == "98.33"
    assert row["missing"] == "1"
    assert row["conclusion"] == "fail"
    assert row["published_success"] == ""
    assert (row["test"], row["test_name"], row["worst"], row["pass_at"]) == ("1", "2×10", "95.0", "100.0")
    assert (row["interval_low"], row["interval_high"]) == ("73.808566", "99.999999")


def test_no_cell_of_the_csv_has_two_numbers(run: Any) -> None:
    rows = list(csv.reader(io.StringIO(csv_table(build(run.store, run.run)))))
    assert all(len(row) == len(rows[0]) == len(set(rows[0])) for row in rows)
    words = ("2×10", "fail")
    assert [cell for row in rows[1:] for cell in row if cell and cell not in words and not NUMBER.fullmatch(cell)] == []


def test_json_says_everything(run: Any) -> None:
    report = json.loads(json_report(build(run.store, run.run)))
    assert report["schema"] == 2
    assert report["conclusion"] == "fail"
    (test,) = report["tests"]
    assert test["figures"]["missing"] == 1
    assert test["columns"]["success"] == 98.33
    assert len(test["repeats"]) == 3
    (odd,) = report["odd_requests"]
    assert (odd["verdict"], odd["state"], odd["lost_at"]) == ("missing", "done", "unknown")
    assert [server["name"] for server in report["servers"]] == ["root://s01:1094", "root://s02:1094"]


def test_published_figures_stand_beside_the_preset_and_only_beside_it(world: Any) -> None:
    preset = find_preset("osdf-2021")
    assert preset is not None
    eighth = preset.plan.tests[-1]
    assert isinstance(eighth.servers, int)
    same = TestSpec(eighth.servers, eighth.files_per_server, eighth.per_round, name=eighth.name)
    other = TestSpec(2, eighth.files_per_server, eighth.per_round, name=eighth.name)
    world.begin(same, other, name="osdf-2021")
    report = build(world.store, world.run)
    assert report.tests[0].published is not None
    assert (report.tests[0].published.recorded_avg, report.tests[0].published.success) == (39_991.00, 99.98)
    assert report.tests[1].published is None
    assert "39,991.00" in text_table(report)
    world.begin(same, name="something else")
    assert build(world.store, world.run).tests[0].published is None


def test_text_of_others_cannot_steer_a_terminal_or_a_spreadsheet(world: Any) -> None:
    world.begin(TestSpec(1, 1, 1, name="=HYPERLINK(1)"), name="evil\x1b[2J\nname")
    report = build(world.store, world.run)
    assert "\x1b" not in text_table(report)
    assert text_table(report).splitlines()[0].startswith("Run 1  evil·[2J·name")
    assert "'=HYPERLINK" in csv_table(report)
    assert harmless("-1") == "'-1"
    assert harmless(-1) == -1
    assert printable("a\tb\u202e") == "a·b·"


def test_redaction_takes_hosts_and_agents_out_everywhere(world: Any) -> None:
    world.store.put_servers([ServerEntry("root://secret-host.example.org:1094", "secret-host")])
    world.begin(name="a plan", where={"host": "secret-host.example.org", "ip": "192.0.2.7", "v6": "[2001:db8::7]:1"})
    asked = world.ask(2, server="root://secret-host.example.org:1094", agent="shared/ada-laptop")
    world.read(asked[0])
    world.read(asked[1], ok=False, error="[ERROR] secret-host.example.org refused 192.0.2.7")
    world.store.set_run(world.run, message="ended by ada-laptop")
    world.store.add_note(world.run, "ada-laptop", "on secret-host", world.now)
    score(world.store, world.repeat, "settle", world.tick())
    plain, redacted = (json_report(build(world.store, world.run, redact=flag)).decode() for flag in (False, True))
    assert "secret-host" in plain
    for word in ("secret-host", "ada-laptop", "192.0.2", "2001:db8"):
        assert word not in redacted
    assert "host-1" in redacted
    assert "agent-1" in redacted
    assert "/store/test/f0001.root" in redacted


def test_the_interval_is_explained_wherever_a_person_reads_it_and_only_there(run: Any) -> None:
    report = build(run.store, run.run)
    assert report.tests[0].now.interval
    for read in (text_table(report), html_report(report, now=1.0), markdown_report(report).replace("\\", "")):
        assert "in 19 of 20 cases" in read
    assert "19 of 20" not in csv_table(report) + junit_report(report) + json_report(report).decode()


def test_no_line_is_longer_than_a_narrow_terminal(run: Any) -> None:
    text = text_table(build(run.store, run.run), 60)
    assert [line for line in text.splitlines() if len(line) > 60] == []
