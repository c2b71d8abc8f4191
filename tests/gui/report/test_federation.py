from __future__ import annotations

import csv
import io
import json

from gui.report import Federation, federation_csv, federation_json, federation_text, hit_ratio, limited
from gui.store import CacheUse, UsageNames, UsageRow

ROWS = [
    UsageRow("ligo", 10, 1, 3 * 10**15, 10**15, 5, 60.0, 20_000, 20_007),
    UsageRow("", 5, 0, 0, 0, 0, 0.0, 20_000, 20_000),
    UsageRow("evil\x1b[0m", 1, 0, 0, 0, 0, 0.0, 19_999, 20_000),
]
NAMES = UsageNames(
    frozenset({("CN=a", "ligo", "/igwn/ligo"), ("CN=b", "LIGO", "/igwn/ligo"), ("", "", "/chtc")}),
    frozenset({"c1.example.org", "c2.example.org"}),
    frozenset({"SITE-A", ""}),
)
CACHES = [CacheUse("c1.example.org", 3, 300, 90, 10), CacheUse("idle", 1, 0, 0, 0)]
BY_SERVER = [
    UsageRow("c1.example.org", 10, 1, 400, 0, 5, 60.0, 20_000, 20_007),
    UsageRow("c2.example.org", 2, 0, 40, 0, 0, 6.0, 20_000, 20_000),
]


def lines_of(federation: Federation) -> list[str]:
    """The lines of the text, without the rules under the heads of tables."""
    return [line for line in federation_text(federation).splitlines() if not line.startswith("─")]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_use_is_a_line_of_totals_and_a_table_with_shares_in_decimal_units() -> None:
    assert lines_of(Federation("org", ROWS, names=NAMES)) == [
        "4.0 PB read and 5 B written in 16 accesses: 2 researchers, 1 collaboration & 1 campus; 2 servers at 1 site; "
        "2024-10-03 to 2024-10-11",
        "",
        "Organisation  Data read    Share  Written  Accesses  Never closed       First        Last",
        "ligo             4.0 PB  100.0 %      5 B        10             1  2024-10-04  2024-10-11",
        "(not told)          0 B    0.0 %      0 B         5             0  2024-10-04  2024-10-04",
        "evil·[0m            0 B    0.0 %      0 B         1             0  2024-10-03  2024-10-04",
    ]


def test_without_a_campus_among_the_directories_the_sites_of_the_servers_are_counted_and_it_says_so() -> None:
    names = UsageNames(frozenset({("CN=a", "cms", "")}), frozenset({"c1"}), frozenset({"SITE-A"}))
    text = federation_text(Federation("org", ROWS, names=names))
    assert "1 researcher, 1 collaboration & 1 campus (by the servers' sites); 1 server at 1 site" in text


def test_what_was_summed_under_other_makes_it_at_least() -> None:
    names = UsageNames(frozenset({("(other)", "cms", "(other)"), ("CN=a", "cms", "")}), frozenset(), frozenset())
    text = federation_text(Federation("org", ROWS, names=names))
    assert "at least 1 researcher, 1 collaboration & 0 campuses; 0 servers" in text


def test_tests_of_ours_alone_are_no_researchers_and_no_campus() -> None:
    names = UsageNames(frozenset(), frozenset({"c1"}), frozenset({"SITE-A"}))
    text = federation_text(Federation("org", ROWS, names=names))
    assert "16 accesses: only tests of Tally; 1 server at 1 site" in text


def test_nothing_within_what_was_asked_for_is_not_nothing_at_all() -> None:
    text = federation_text(Federation("week", [], narrowed=("--since 2027-01-01", "--foreign")))
    assert text == "No record matches --since 2027-01-01 --foreign; leave some of that out to see others.\n"


def test_nothing_yet_says_what_to_do() -> None:
    assert "tally load" in federation_text(Federation("week", []))


def test_caches_have_a_hit_ratio_when_they_served_anything() -> None:
    assert hit_ratio(CACHES[0]) == 0.75
    assert hit_ratio(CACHES[1]) is None
    assert lines_of(Federation("server", [], CACHES)) == [
        "Cache             Hit  Missed  Bypassed  Hit ratio  Events",
        "c1.example.org  300 B    90 B      10 B     75.0 %       3",
        "idle              0 B     0 B       0 B          –       1",
    ]


def test_two_groups_are_two_columns() -> None:
    rows = [
        UsageRow("ligo", 1, 0, 5000, 0, 0, 0.0, 20_000, 20_000, "2024-09-30"),
        UsageRow("ligo", 2, 0, 5000, 0, 0, 0.0, 20_007, 20_007, "2024-10-07"),
    ]
    federation = Federation("org", rows, then="week")
    assert lines_of(federation)[2:] == [
        "Organisation  Week from   Data read   Share  Written  Accesses  Never closed       First        Last",
        "ligo          2024-09-30     5.0 kB  50.0 %      0 B         1             0  2024-10-04  2024-10-04",
        "ligo          2024-10-07     5.0 kB  50.0 %      0 B         2             0  2024-10-11  2024-10-11",
    ]
    assert [(row["org"], row["week"]) for row in rows_of(federation_csv(federation))] == [
        ("ligo", "2024-09-30"),
        ("ligo", "2024-10-07"),
    ]
    content = json.loads(federation_json(federation))
    assert (content["by"], content["then"], content["rows"][1]["then"]) == ("org", "week", "2024-10-07")


def test_what_is_beyond_the_limit_is_summed_up_in_one_line_and_still_in_the_totals() -> None:
    federation = limited(Federation("org", ROWS, names=NAMES), 1)
    lines = federation_text(federation).splitlines()
    assert lines[0].startswith("4.0 PB read and 5 B written in 16 accesses")
    assert lines[-1].split() == ["(2", "others)", "0", "B", "0.0", "%", "0", "B", "6", "0", "2024-10-03", "2024-10-04"]
    assert [row["org"] for row in rows_of(federation_csv(federation))] == ["ligo"]
    content = json.loads(federation_json(federation))
    assert (len(content["rows"]), content["left_out"]["groups"], content["left_out"]["accesses"]) == (1, 2, 6)


def test_csv_has_plain_numbers() -> None:
    first, *_ = rows_of(federation_csv(Federation("org", ROWS, CACHES)))
    assert first == {
        "org": "ligo", "read": str(3 * 10**15), "readv": str(10**15), "write": "5", "accesses": "10",
        "provisional": "1", "seconds": "60.0", "first_day": "2024-10-04", "last_day": "2024-10-11",
    }  # fmt: skip


def test_by_server_the_csv_has_the_caches_account_also_of_caches_without_records_of_accesses() -> None:
    rows = rows_of(federation_csv(Federation("server", BY_SERVER, CACHES)))
    assert [tuple(row[name] for name in ("server", "read", "first_day", "cache_events", "cache_hit", "cache_missed",
                                         "cache_bypassed")) for row in rows] == [
        ("c1.example.org", "400", "2024-10-04", "3", "300", "90", "10"),
        ("c2.example.org", "40", "2024-10-04", "", "", "", ""),
        ("idle", "0", "", "1", "0", "0", "0"),
    ]  # fmt: skip


def test_json_has_totals_rows_and_caches() -> None:
    content = json.loads(federation_json(Federation("org", ROWS, CACHES, names=NAMES)))
    assert content["totals"] == {
        "read": 3 * 10**15, "readv": 10**15, "write": 5, "accesses": 16, "provisional": 1, "seconds": 60.0,
        "researchers": 2, "collaborations": 1, "campuses": 1, "at_least": False, "servers": 2, "sites": 1,
        "first_day": "2024-10-03", "last_day": "2024-10-11",
    }  # fmt: skip
    assert (content["by"], content["rows"][0]["group"], content["rows"][0]["accesses"]) == ("org", "ligo", 10)
    assert content["caches"][0] == {
        "server": "c1.example.org", "events": 3, "hit": 300, "miss": 90, "bypass": 10, "hit_ratio": 0.75,
    }  # fmt: skip
    assert json.loads(federation_json(Federation("org", [])))["totals"]["first_day"] is None
