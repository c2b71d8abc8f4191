from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gui.store import (
    NotAWorkspaceError,
    Store,
    StoreBusyError,
    StoreError,
    StoreNewerError,
    StoreUnavailableError,
    engine,
    parse_database,
)
from gui.store.migrations import HEAD


def sentence(error: pytest.ExceptionInfo[StoreError]) -> str:
    """The text, which must be one paragraph that ends like a sentence."""
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_a_file_name_and_urls_name_a_database() -> None:
    assert parse_database("/tmp/x.db").render_as_string() == "sqlite:////tmp/x.db"
    assert parse_database("sqlite:////tmp/x.db").database == "/tmp/x.db"
    assert parse_database("postgresql://u:p@h/d").drivername == "postgresql+psycopg"
    assert parse_database("x.db").database == str(Path.cwd() / "x.db")


@pytest.mark.parametrize("address", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "", "://"])
def test_what_is_no_database_that_we_know_is_refused(address: str) -> None:
    with pytest.raises(StoreUnavailableError) as error:
        parse_database(address)
    assert sentence(error)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(StoreUnavailableError) as error:
        Store("postgresql://tally:s3cret@127.0.0.1:1/tally")
    assert "s3cret" not in sentence(error)
    assert "cannot be reached" in str(error.value)


def test_a_new_file_becomes_a_workspace_with_our_mark_and_wal(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    Store(file).close()
    with closing(sqlite3.connect(file)) as raw, raw:
        assert raw.execute("PRAGMA application_id").fetchone()[0] == engine.APPLICATION_ID
        assert raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone()[0] == HEAD
    raw.close()


def test_an_existing_workspace_opens_again(tmp_path: Path) -> None:
    with Store(tmp_path / "w.db") as store:
        store.put_setting("name", "scale-2026")
    with Store(tmp_path / "w.db") as store:
        assert store.setting("name") == "scale-2026"


def test_several_databases_are_made_at_once_each_for_itself(tmp_path: Path) -> None:
    def make(number: int) -> None:
        with Store(tmp_path / f"{number}.db") as store:
            store.put_setting("name", str(number))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(make, range(16)))
    for number in range(16):
        with Store(tmp_path / f"{number}.db") as store:
            assert store.setting("name") == str(number)


def test_a_newer_schema_is_declined_with_both_versions_and_advice(tmp_path: Path) -> None:
    file = tmp_path / "w.db"
    Store(file).close()
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '0999'")
    raw.close()
    with pytest.raises(StoreNewerError) as error:
        Store(file)
    text = sentence(error)
    assert str(file) in text
    assert "0999" in text
    assert HEAD in text
    assert "Update Tally" in text


def test_a_text_file_is_no_workspace(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("This is not a database, but longer than a header.")
    with pytest.raises(NotAWorkspaceError) as error:
        Store(file)
    assert "is not an SQLite database" in sentence(error)
    assert file.read_text().startswith("This is not")


def test_a_damaged_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    file = tmp_path / "w.db"
    Store(file).close()
    content = bytearray(file.read_bytes())
    content[100:20_000] = b"\xff" * 19_900
    file.write_bytes(content)
    with pytest.raises(NotAWorkspaceError) as error:
        Store(file)
    assert "damaged" in sentence(error)


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("CREATE TABLE bookmarks (url)")
    raw.close()
    before = file.read_bytes()
    with pytest.raises(NotAWorkspaceError) as error:
        Store(file)
    assert "another program" in sentence(error)
    assert "bookmarks" in str(error.value)
    assert file.read_bytes() == before  # to the byte: the WAL mode stays in a file, too
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


def test_a_new_workspace_is_its_owners_only(tmp_path: Path) -> None:
    file = tmp_path / "w.db"
    with Store(file) as store:
        store.put_setting("x", "y")
        assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
            "w.db": 0o600,
            "w.db-wal": 0o600,
            "w.db-shm": 0o600,
        }


def test_another_programs_alembic_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("CREATE TABLE alembic_version (version_num)")
    raw.close()
    with pytest.raises(NotAWorkspaceError) as error:
        Store(file)
    assert "Alembic" in sentence(error)


def test_a_missing_directory_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError) as missing:
        Store(tmp_path / "nowhere" / "w.db")
    assert "there is no directory" in sentence(missing)
    with pytest.raises(NotAWorkspaceError) as directory:
        Store(tmp_path)
    assert "is a directory" in sentence(directory)


def test_a_read_only_file_is_said_to_be_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "w.db"
    Store(file).close()
    real = os.access
    # Root may write everywhere, so ask as somebody who may not.
    monkeypatch.setattr(os, "access", lambda path, mode: False if mode == os.W_OK else real(path, mode))
    with pytest.raises(StoreUnavailableError) as error:
        Store(file)
    assert "read-only" in sentence(error)


def test_an_unwritable_directory_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StoreUnavailableError) as error:
        Store(tmp_path / "w.db")
    assert "not writable" in sentence(error)


def test_a_writer_with_patience_waits_for_another_program_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_BUSY_SECONDS", 0.05)
    monkeypatch.setattr(engine, "PRAGMAS", ("PRAGMA busy_timeout=50", *engine.PRAGMAS[1:]))
    with Store(str(tmp_path / "w.db")) as store:
        other = sqlite3.connect(tmp_path / "w.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        said: list[bool] = []

        def busy(is_busy: bool) -> None:
            said.append(is_busy)
            if is_busy:
                other.execute("ROLLBACK")  # it is done, as soon as the writer has said that it waits

        store.database.on_busy, store.database.patience = busy, 60.0
        store.put_setting("a", "1")
        assert said == [True, False]
        assert store.setting("a") == "1"

        other.execute("BEGIN IMMEDIATE")
        store.database.on_busy, store.database.patience = lambda _: None, 0.1
        with pytest.raises(StoreBusyError):
            store.put_setting("a", "2")
        other.close()
        store.put_setting("a", "3")


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_readers_wait_for_nobody_and_a_writer_is_told_who_is_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    file = tmp_path / "w.db"
    with Store(file) as store:
        store.put_setting("a", "1")
    monkeypatch.setattr(engine, "_BUSY_SECONDS", 0.05)
    monkeypatch.setattr(engine, "PRAGMAS", ("PRAGMA busy_timeout=50",))
    with closing(sqlite3.connect(file, isolation_level=None)) as raw:
        raw.execute(lock)
        with Store(file, read_only=True) as reader:
            assert reader.setting("a") == "1"
        with Store(file) as store:
            assert store.setting("a") == "1"
            with pytest.raises(StoreBusyError) as error:
                store.put_setting("a", "2")
            assert "locked by another program" in sentence(error)


def test_what_is_opened_to_be_read_is_not_written(any_world: Any) -> None:
    url = any_world.store.database.url
    with Store(url.render_as_string(hide_password=False), read_only=True) as store:
        assert store.runs() == []
        with pytest.raises(StoreUnavailableError, match="opened to be read only"):
            store.put_setting("a", "1")


def test_what_is_to_be_read_must_be_there_and_up_to_date(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="There is no database"):
        Store(tmp_path / "none.db", read_only=True)
    (tmp_path / "empty.db").touch()
    with pytest.raises(NotAWorkspaceError, match="is empty"):
        Store(tmp_path / "empty.db", read_only=True)
    Store(tmp_path / "w.db").close()
    with closing(sqlite3.connect(tmp_path / "w.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(StoreUnavailableError, match="schema 0001") as error:
        Store(tmp_path / "w.db", read_only=True)
    assert sentence(error)


READ = "import sys; from gui.store import Store; print(Store(sys.argv[1], read_only=True).setting('a'))"


def read_by_somebody_without_rights(file: Path) -> str:
    """What a program that reads the setting ``a`` says; files' modes hold for it, even when we are root."""
    unprivileged = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*unprivileged, sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.fixture
def read_only(tmp_path: Path) -> Any:
    """Makes a directory read-only, with all files in it, until the test is over."""
    directory = tmp_path / "archive"
    directory.mkdir()

    def lock() -> None:
        for file in directory.iterdir():
            file.chmod(0o444)
        directory.chmod(0o555)

    yield directory, lock
    directory.chmod(0o755)


def test_a_workspace_in_a_directory_that_cannot_be_written_is_read(read_only: Any) -> None:
    directory, lock = read_only
    with Store(directory / "a workspace?#%.db") as store:
        store.put_setting("a", "1")
    lock()
    assert read_by_somebody_without_rights(directory / "a workspace?#%.db") == "1"


def test_there_what_is_being_written_is_read_too(read_only: Any) -> None:
    directory, lock = read_only
    with Store(directory / "w.db") as store:
        store.put_setting("a", "1")
        lock()
        assert read_by_somebody_without_rights(directory / "w.db") == "1"


def test_there_what_was_not_closed_properly_is_not_read_half(read_only: Any) -> None:
    directory, lock = read_only
    with Store(directory / "w.db") as store:
        store.put_setting("a", "1")
        for name in ("w.db", "w.db-wal"):
            (directory / f"copy-{name}").write_bytes((directory / name).read_bytes())
        lock()
        assert "was not closed properly" in read_by_somebody_without_rights(directory / "copy-w.db")


def test_a_full_disk_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    with Store(tmp_path / "w.db") as store:
        store.put_setting("before", "x")
        with store.database.write() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StoreUnavailableError) as error:
            store.put_setting("big", "y" * 10_000_000)
        assert "full" in sentence(error)
        assert store.setting("before") == "x"
        assert store.setting("big") == ""


def test_what_a_failed_block_wrote_is_undone(store: Store) -> None:
    def write_and_fail() -> None:
        with store.database.write() as connection:
            connection.exec_driver_sql("INSERT INTO meta VALUES ('a', 'b')")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert store.setting("a") == ""


def test_many_rows_go_in_at_once_and_those_that_are_there_are_passed_over(any_world: Any) -> None:
    database = any_world.store.database
    rows = [(f"name {number}", f"\t\\N {number}\n") for number in range(200)]
    with database.write() as connection:
        assert database.insert(connection, "meta", ("name", "value"), rows[:100]) == 100
    with database.write() as connection:
        again = "ON CONFLICT DO NOTHING"
        assert database.insert(connection, "meta", ("name", "value"), rows[50:150], again) == 50
        assert database.insert(connection, "meta", ("name", "value"), rows, again) == 50
    with database.read() as connection:
        stored = connection.exec_driver_sql("SELECT name, value FROM meta WHERE name LIKE 'name %%'").all()
    assert sorted(map(tuple, stored)) == sorted(rows)
    with pytest.raises(StoreError), database.write() as connection:
        database.insert(connection, "meta", ("name", "value"), rows)


def test_threads_write_in_turns_and_read_meanwhile(any_world: Any) -> None:
    store = any_world.store
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(25):
                store.put_setting(f"{number}-{i}", "x")
                assert store.setting(f"{number}-{i}") == "x"
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert all(store.setting(f"{number}-24") == "x" for number in range(6))


def test_a_reader_sees_one_state_while_a_writer_commits(store: Store) -> None:
    store.put_setting("a", "1")
    with store.database.read() as connection:
        first = connection.exec_driver_sql("SELECT value FROM meta WHERE name = 'a'").scalar()
        store.put_setting("a", "2")
        assert connection.exec_driver_sql("SELECT value FROM meta WHERE name = 'a'").scalar() == first == "1"
    assert store.setting("a") == "2"


def test_the_used_size_of_a_workspace_just_made_is_known(tmp_path: Path) -> None:
    with Store(tmp_path / "w.db") as store:
        store.put_setting("big", "x" * 1_000_000)
        assert 1_000_000 < store.database.used_bytes() < 2_000_000


def test_two_programs_open_a_new_workspace_at_once(tmp_path: Path) -> None:
    file = tmp_path / "w.db"
    results: list[object] = []

    def open_it() -> None:
        try:
            with Store(file) as store:
                results.append(store.setting("nothing", "fine"))
        except StoreError as error:
            results.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["fine"] * 4
