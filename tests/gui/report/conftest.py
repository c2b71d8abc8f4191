from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from gui.report import build, json_report, json_schema
from tests.gui.workspaces import any_world, postgres, postgres_server, store, world

__all__ = ["any_world", "every_report_is_valid", "postgres", "postgres_server", "report_schema", "store", "world"]


@pytest.fixture(scope="session")
def report_schema() -> Any:
    """What checks a JSON report against its schema."""
    return Draft202012Validator(msgspec.json.decode(json_schema()))


@pytest.fixture(autouse=True)
def every_report_is_valid(request: pytest.FixtureRequest, report_schema: Any) -> Iterator[None]:
    """Whatever a test has made of a run, its JSON report keeps to the schema."""
    made = request.getfixturevalue("world") if "world" in request.fixturenames else None
    yield
    if made is not None:
        for run in made.store.runs():
            report_schema.validate(msgspec.json.decode(json_report(build(made.store, run.id))))
