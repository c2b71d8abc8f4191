from __future__ import annotations

import csv
import io
import json

from gui.report import federation_csv, federation_json, federation_text, hit_ratio
from gui.store import CacheUse, UsageRow

ROWS = [
    UsageRow("ligo", 10, 1, 3 * 2**40, 2**40, 5, 60.0, 20_000, 20_007),
    UsageRow("", 5, 0, 0, 0, 0, 0.0, 20_000, 20_000),
    UsageRow("evil\x1b[0m", 1, 0, 0, 0, 0, 0.0, 20_000, 20_000),
]


def test_use_is_a_table_with_shares() -> None:
    text = federation_text("org", ROWS)
    assert "Organisation" in text
    assert "4.0 TiB" in text
    assert "100.0 %" in text
    assert "(not told)" in text
    assert "2024-10-04" in text
    assert "\x1b" not in text


def test_nothing_yet_says_what_to_do() -> None:
    assert "tally load" in federation_text("week", [])


def test_caches_have_a_hit_ratio_when_they_served_anything() -> None:
    cache = CacheUse("cache1", 3, 300, 90, 10)
    assert hit_ratio(cache) == 0.75
    assert hit_ratio(CacheUse("idle", 1, 0, 0, 0)) is None
    text = federation_text("server", ROWS, [cache, CacheUse("idle", 1, 0, 0, 0)])
    assert "75.0 %" in text


def test_csv_and_json_have_the_numbers() -> None:
    first, *_ = csv.DictReader(io.StringIO(federation_csv("org", ROWS)))
    assert (first["org"], first["read"], first["first_day"]) == ("ligo", str(3 * 2**40), "2024-10-04")
    content = json.loads(federation_json("org", ROWS))
    assert (content["by"], content["rows"][0]["accesses"]) == ("org", 10)
