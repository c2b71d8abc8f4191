from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gui.store import Store, migrations, schema


def test_the_migrations_lead_to_exactly_the_tables_of_the_schema(any_world: Any) -> None:
    with any_world.store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_head_is_the_newest_step_and_there_is_one_line_of_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [migrations.HEAD]
    assert [step.revision for step in script.walk_revisions()][-1] == "0001"


def test_ids_that_must_not_come_back_do_not(store: Store) -> None:
    with store.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all()
    kept = {name for name, sql in rows if "AUTOINCREMENT" in (sql or "")}
    assert {"run", "test", "repeat", "tag", "request", "record", "record_block", "scoring"} <= kept
