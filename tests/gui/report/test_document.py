"""The JSON report and its schema, which is a file that other programs may keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gui.report import build, json_report, json_schema
from gui.report.document import SCHEMA

FILE = Path(__file__).parents[3] / "docs" / "report.schema.json"


def test_the_schema_in_the_documents_is_that_of_the_report() -> None:
    """Where a field is gone or means something else, `SCHEMA` grows; then: tally results --schema --out FILE."""
    assert json_schema() == FILE.read_bytes()


def test_it_is_a_schema_with_its_number() -> None:
    schema = json.loads(json_schema())
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:xrootd-tally:report:{SCHEMA}"


def test_a_report_is_valid_and_says_its_number(world: Any) -> None:
    """So is every other report that a test here makes: see conftest.py."""
    world.begin()
    content = json.loads(json_report(build(world.store, world.run)))
    assert content["schema"] == SCHEMA
    Draft202012Validator(json.loads(json_schema())).validate(content)


@pytest.mark.parametrize("wrong", [{"conclusion": "maybe"}, {"tests": [{}]}, {"odd_requests_total": "many"}])
def test_it_refuses_what_is_no_report(world: Any, wrong: dict[str, Any]) -> None:
    world.begin()
    content = json.loads(json_report(build(world.store, world.run))) | wrong
    assert not Draft202012Validator(json.loads(json_schema())).is_valid(content)
