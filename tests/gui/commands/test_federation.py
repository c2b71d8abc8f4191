"""`tally federation`, as typed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from gui.cli import main

DAY = 86_400
FIRST = 20_003
"""A Monday, 2024-10-07."""


def access(number: int, *, server: str, day: int, user: str, vo: str, read: int) -> str:
    return json.dumps(
        {
            "kind": "file", "schema": 1, "record_id": f"{number:032x}.f", "access_id": f"{number:032x}", "final": True,
            "server_id": "7", "stod": (FIRST - 30) * DAY, "file_id": number, "filename": f"/store/f{number}",
            "logical_dirname": "/store/data", "server": server, "port": 1094, "site": "SITE-A", "user_dn": user,
            "vo": vo, "read": read, "readv": 0, "write": 0, "start_time": day * DAY, "end_time": day * DAY + 60,
        }
    )  # fmt: skip


def event(number: int, server: str, day: int) -> str:
    return json.dumps(
        {
            "kind": "cache", "schema": 1, "record_id": f"{number:032x}", "server_hostname": server,
            "attach_time": day * DAY, "detach_time": day * DAY + 1, "bytes_hit_cache": 60, "bytes_miss_cache": 40,
            "bytes_bypass_cache": 0,
        }
    )  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    file = tmp_path / "records.jsonl"
    lines = [
        access(1, server="c1.example.org", day=FIRST, user="CN=a", vo="ligo", read=6_200_000),
        access(2, server="c1.example.org", day=FIRST + 8, user="CN=b", vo="ligo", read=1_000_000),
        access(3, server="c2.example.org", day=FIRST, user="CN=a", vo="cms", read=2_000_000),
        access(4, server="c3.example.org", day=FIRST, user="CN=a", vo="cms", read=800_000),
        event(9, "c1.example.org", FIRST),
        event(10, "c2.example.org", FIRST),
    ]
    file.write_text("\n".join(lines) + "\n")
    database = str(tmp_path / "w.db")
    assert main(["load", "--from", str(file), "--db", database]) == 0
    capsys.readouterr()
    return database


def printed(capsys: pytest.CaptureFixture[str], database: str, *words: str) -> str:
    assert main(["federation", *words, "--db", database]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], database: str, *words: str) -> str:
    assert main(["federation", *words, "--db", database]) == 2
    return capsys.readouterr().err


def test_the_totals_come_first(workspace: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, _, *table = printed(capsys, workspace).splitlines()
    assert first == (
        "10.0 MB read and 0 B written in 4 accesses: 2 researchers, 2 collaborations & 1 campus (by the servers' "
        "sites); 3 servers at 1 site; 2024-10-07 to 2024-10-15"
    )
    assert [line.split()[0] for line in table[2:5]] == ["c1.example.org", "c2.example.org", "c3.example.org"]


def test_days_are_a_range_with_both_ends(workspace: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(printed(capsys, workspace, "--json", "--until", "2024-10-07"))
    assert content["totals"]["accesses"] == 3
    content = json.loads(printed(capsys, workspace, "--json", "--since", "2024-10-08", "--until", "2024-10-15"))
    assert (content["totals"]["accesses"], content["totals"]["read"]) == (1, 1_000_000)


def test_one_cache_is_shown_alone_with_or_without_its_port(workspace: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("c1.example.org", "c1.example.org:1094"):
        content = json.loads(printed(capsys, workspace, "--json", "--by", "org", "--cache", name))
        assert [(row["group"], row["read"]) for row in content["rows"]] == [("ligo", 7_200_000)]
        assert [cache["server"] for cache in content["caches"]] == ["c1.example.org"]
        assert content["totals"]["servers"] == 1


def test_two_groups_in_the_order_in_which_they_were_named(workspace: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(printed(capsys, workspace, "--json", "--by", "server,week"))
    assert [(row["group"], row["then"], row["read"]) for row in content["rows"]] == [
        ("c1.example.org", "2024-10-07", 6_200_000),
        ("c1.example.org", "2024-10-14", 1_000_000),
        ("c2.example.org", "2024-10-07", 2_000_000),
        ("c3.example.org", "2024-10-07", 800_000),
    ]


def test_the_csv_has_the_caches_or_says_where_they_are(workspace: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(capsys, workspace, "--csv"))))
    assert [(row["server"], row["cache_hit"]) for row in rows] == [
        ("c1.example.org", "60"),
        ("c2.example.org", "60"),
        ("c3.example.org", ""),
    ]
    assert main(["federation", "--by", "org", "--csv", "--limit", "1", "--db", workspace]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1].startswith("ligo,7200000,")
    assert len(said.out.splitlines()) == 2
    assert said.err.splitlines() == [
        "tally federation: 1 more group is left out by --limit",
        "tally federation: for the caches' own figures, use --by server --csv",
    ]


def test_servers_of_one_host_are_kept_apart_by_their_ports_when_asked(
    workspace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(printed(capsys, workspace, "--json", "--ports"))
    assert content["rows"][0]["group"] == "c1.example.org:1094"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--by", "cache"], "--by: expected one or two of server, org, week, dir, user, separated by a comma, not"),
        (
            ["--by", "org,org"],
            "--by: expected one or two different ones of server, org, week, dir, user, not 'org,org'",
        ),
        (["--by", "org,week,dir"], "--by: expected one or two different ones"),
        (["--until", "yesterday"], "--until: expected a day as YYYY-MM-DD, not 'yesterday'"),
        (["--since", "2024-10-08", "--until", "2024-10-07"], "--until 2024-10-07 is before --since 2024-10-08"),
        (["--limit", "0"], "--limit: expected a number of at least 1, not 0"),
        (["--by", "org", "--ports"], "--ports needs grouping by server"),
        (
            ["--cache", "c1.exmaple.org"],
            "No record is from a server 'c1.exmaple.org'. Known servers: c1.example.org, c",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    workspace: str, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    assert refused(capsys, workspace, *words).startswith(f"tally: {why}")
