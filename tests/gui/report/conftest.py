from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from gui.report import build, json_report, json_schema
from gui.store import Store, parse_database

HELPERS = Path(__file__).parents[1] / "store"


def load_helper(name: str) -> ModuleType:
    """A helper module beside the tests of the store, the same for all that use it."""
    full = f"tally_test_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HELPERS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "workspace.db") as store:
        yield store


@pytest.fixture
def world(store: Store) -> Any:
    return load_helper("world").World(store)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server: that in TALLY_TEST_POSTGRES (its schema ``public`` is emptied), or a private one."""
    given = os.environ.get("TALLY_TEST_POSTGRES")
    if given:
        yield given
        return
    helper = load_helper("postgres")
    programs = helper.find_programs()
    if programs is None:
        pytest.fail("PostgreSQL is not installed (apt-get install postgresql), and TALLY_TEST_POSTGRES is not set")
    server = helper.PrivatePostgres(programs)
    try:
        yield server.url
    finally:
        server.stop()


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """URL of an empty PostgreSQL database."""
    engine = create_engine(parse_database(postgres_server))
    for _ in range(100):
        try:
            with engine.begin() as connection:
                connection.execute(text("DROP SCHEMA public CASCADE"))
                connection.execute(text("CREATE SCHEMA public"))
            break
        except OperationalError as error:  # "the database system is starting up"
            if "starting up" not in str(error):
                raise
    engine.dispose()
    return postgres_server


@pytest.fixture(params=["sqlite", "postgres"])
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A world on each kind of database."""
    sqlite = request.param == "sqlite"
    with Store(tmp_path / "workspace.db" if sqlite else request.getfixturevalue("postgres")) as store:
        yield load_helper("world").World(store)


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
