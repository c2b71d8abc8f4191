"""Workspaces to test with, on SQLite and on a private PostgreSQL: fixtures that the tests of store, reconcile and
report import in their ``conftest.py``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from gui.store import Store, parse_database
from tests.gui.store.postgres import PrivatePostgres, find_programs
from tests.gui.store.world import World

__all__ = ["any_world", "postgres", "postgres_server", "store", "world"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "workspace.db") as store:
        yield store


@pytest.fixture
def world(store: Store) -> Any:
    return World(store)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server: that in TALLY_TEST_POSTGRES (its schema ``public`` is emptied), or a private one."""
    given = os.environ.get("TALLY_TEST_POSTGRES")
    if given:
        yield given
        return
    programs = find_programs()
    if programs is None:
        pytest.fail("PostgreSQL is not installed (apt-get install postgresql), and TALLY_TEST_POSTGRES is not set")
    server = PrivatePostgres(programs)
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
        yield World(store)
