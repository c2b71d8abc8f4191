"""Opening a workspace database and talking to it: one writer at a time, readers beside it, errors as sentences.

SQLite runs in WAL mode with ``synchronous=FULL``: what a method has stored when it returns survives a power cut, since
the broker and the agents forget what we acknowledge. Writers in one process take turns with a lock, writers in several
processes with SQLite's own lock (they wait up to 15 s, plus `Database.patience`). Readers see the last committed state
and never wait; opening a database that is up to date only reads. A database opened read-only may be in a file and a
directory that are not writable.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from gui.store.errors import NotAWorkspaceError, StoreBusyError, StoreError, StoreNewerError, StoreUnavailableError
from gui.store.migrations import HEAD, upgrade
from gui.store.schema import metadata

APPLICATION_ID = 0x54414C59
"""``TALY`` in the header of our SQLite files, by which ``file`` and Tally recognize them."""

LEAVE_KNOWN = "ON CONFLICT DO NOTHING"
"""`Database.insert` with this leaves rows as they are that are there already."""

_BUSY_SECONDS = 15
_PAUSE_SECONDS = 1.0
_ROWS = 100
PRAGMAS = (
    f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-65536",
    # A larger WAL between checkpoints halves what a bulk load writes, since index pages are rewritten many times.
    "PRAGMA wal_autocheckpoint=16384",
    "PRAGMA journal_size_limit=134217728",
)


def parse_database(address: str | os.PathLike[str]) -> URL:
    """The SQLAlchemy URL of a database given as a file name or URL. Raises StoreUnavailableError for other kinds."""
    given = os.fspath(address)
    if "://" not in given:
        if not given.strip():
            raise StoreUnavailableError("No database was named; give a file name or postgresql://USER@HOST/NAME.")
        return URL.create("sqlite", database=str(Path(given).expanduser().absolute()))
    try:
        url = make_url(given)
    except ArgumentError:
        raise StoreUnavailableError(
            "The database URL cannot be read; write sqlite:///FILE or postgresql://HOST/NAME."
        ) from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise StoreUnavailableError("A workspace lives in a file; write sqlite:///FILE, or just the file name.")
        return URL.create("sqlite", database=str(Path(url.database).expanduser().absolute()))
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise StoreUnavailableError(
        f"Databases of kind {backend!r} are not supported; use an SQLite file or postgresql://."
    )


class Database:
    """An open database at our schema version. Thread-safe: any thread may call `write` and `read`.

    `shown` is its name in messages, without a password."""

    def __init__(self, address: str | os.PathLike[str], *, read_only: bool = False) -> None:
        """Opens the database; unless read-only, creates or migrates it as needed. Raises StoreError."""
        self.read_only = read_only
        self.url = parse_database(address)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.shown = str(self.url.database) if self.is_sqlite else self.url.render_as_string(hide_password=True)
        self.marker = "?" if self.is_sqlite else "%s"
        self._turn = threading.Lock()
        self.patience = 0.0
        """Seconds that a writer waits for another program, in addition to SQLite's own 15. Set it to 0 to stop
        waiting."""
        self.on_busy: Callable[[bool], None] = lambda _: None
        """Called from a writer's thread: True when it starts to wait that long, False when its turn has come."""
        if self.is_sqlite:
            _check_file(Path(str(self.url.database)), read_only=read_only)
            if not read_only:
                _make_private(Path(str(self.url.database)))
        try:
            self._writer = self._engine(reader=False)
            if self.is_sqlite:
                self._reader = self._engine(reader=True)
            else:
                self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ")
        except NoSuchModuleError as error:
            raise StoreUnavailableError(f"The database cannot be opened: {error}.") from None
        except ModuleNotFoundError:
            raise StoreUnavailableError(
                "PostgreSQL needs the psycopg package; install it with: pip install 'xrootd-tally[postgres]'."
            ) from None
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections. Never raises."""
        self._writer.dispose()
        self._reader.dispose()

    def destroy(self) -> None:
        """Remove the database: the file, or (PostgreSQL) all our tables in it. It is closed. Raises StoreError."""
        if not self.is_sqlite:
            with self.write() as connection:
                metadata.drop_all(connection)
                connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
        self.close()
        if self.is_sqlite:
            file = Path(str(self.url.database))
            try:
                for suffix in ("", "-wal", "-shm"):
                    file.with_name(file.name + suffix).unlink(missing_ok=True)
            except OSError as error:
                raise StoreUnavailableError(f"{self.shown} cannot be removed: {error.strerror}.") from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; committed at the end, rolled back when the block raises.

        Raises StoreBusyError when another program holds the database for 15 s and `patience`, StoreUnavailableError
        when it is read-only, full or gone; other database errors as StoreError."""
        if self.read_only:
            raise StoreUnavailableError(f"{self.shown} cannot be written: it was opened to be read only.")
        with self._turn, self._errors(), self._begun() as connection:
            yield connection

    @contextmanager
    def slice(self) -> Iterator[Connection]:
        """A `write` for a caller that makes many, one after the other.

        On SQLite the next one begins only after as much time as this one took: programs that wait for the database poll
        it, and would hardly ever find it free."""
        with self.write() as connection:
            begun = time.monotonic()
            yield connection
        if self.is_sqlite:
            time.sleep(min(time.monotonic() - begun, _PAUSE_SECONDS))

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        """A transaction of the writer. Beginning it waits for other programs; nothing is done before that."""
        began = time.monotonic()
        told = False
        with self._writer.connect() as connection:
            while True:
                try:
                    transaction = connection.begin()
                    break
                except DBAPIError as error:
                    if not _is_busy(error.orig) or time.monotonic() - began > _BUSY_SECONDS + self.patience:
                        raise
                if not told:
                    told = True
                    self.on_busy(True)
            if told:
                self.on_busy(False)
            with transaction:
                yield connection

    @property
    def address(self) -> str:
        """Its address with the password, for another program: never to be shown."""
        return str(self.url.database) if self.is_sqlite else self.url.render_as_string(hide_password=False)

    def used_bytes(self) -> int:
        """The size of the database in bytes; for an SQLite file, without the free space that deleted rows left."""
        with self.read() as connection:
            if not self.is_sqlite:
                return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
            # A connection that has seen nothing but an empty file does not know the size of its pages yet.
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
            size, pages, free = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                for name in ("page_size", "page_count", "freelist_count")
            )
        return size * (pages - free)

    def vacuum(self) -> None:
        """Free the space of deleted rows: for the disk (SQLite; meanwhile it needs as much space again as the database)
        or for new rows (PostgreSQL). When it raises StoreError, nothing is lost."""
        if not self.is_sqlite:
            with self._errors(), self._writer.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM (ANALYZE)")
            return
        with self._turn, self._errors(), self._writer.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database. It may fill temporary tables, and nothing else."""
        with self._errors(), self._reader.connect() as connection:
            try:
                yield connection
            finally:
                connection.rollback()

    def many(self, connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Run `sql`, with parameters written as ``?``, once for each row; returns the number of rows changed.

        Goes straight to the driver: SQLAlchemy's own way costs several microseconds for each row."""
        if not rows:
            return 0
        if not self.is_sqlite:
            sql = sql.replace("%", "%%").replace("?", "%s")
        return connection.exec_driver_sql(sql, list(rows)).rowcount

    def insert(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
        tail: str = "",
        same: Mapping[str, int | None] | None = None,
    ) -> int:
        """Insert many rows, several per statement; `tail` may be ``ON CONFLICT …``. Returns how many were inserted.
        `same`: further columns, each with the one value that it has in all rows.

        An optimisation of `many` for bulk loads: 2.1 µs instead of 3.2 µs a row of a record, 1.6 with three columns in
        `same`, since the text of the statement has these; on PostgreSQL, where it copies, a fifth of the time."""
        same = same or {}
        if not self.is_sqlite and len(rows) > _ROWS:
            whole = [(*row, *same.values()) for row in rows] if same else rows
            return _copy(connection, table, (*columns, *same), whole, tail)
        inserted = 0
        head = f"INSERT INTO {table} ({', '.join((*columns, *same))}) VALUES "  # noqa: S608 - names of ours
        values = ["NULL" if value is None else str(int(value)) for value in same.values()]
        one = f"({', '.join([self.marker] * len(columns) + values)})"
        full = f"{head}{', '.join([one] * _ROWS)} {tail}"
        driver = connection.connection.driver_connection
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            sql = full if len(part) == _ROWS else f"{head}{', '.join([one] * len(part))} {tail}"
            flat = tuple(chain.from_iterable(part))
            if isinstance(driver, sqlite3.Connection):
                inserted += driver.execute(sql, flat).rowcount
            else:
                inserted += connection.exec_driver_sql(sql, flat).rowcount
        return inserted

    def in_order(self, connection: Connection, table: str) -> None:
        """Make all programs that insert into `table` commit in the order of their ids, for those who read it on by id:
        each waits here until the transaction of the one before has ended. SQLite has only one writer anyway."""
        if not self.is_sqlite:
            query = "SELECT pg_advisory_xact_lock(:program, hashtext(:name))"
            connection.execute(text(query), {"program": APPLICATION_ID, "name": table})

    def new_ids(self, connection: Connection, table: str, count: int) -> list[int]:
        """Reserve `count` ids of a table, for rows to be inserted in this transaction."""
        if not self.is_sqlite:
            query = "SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)"
            return [int(value) for value in connection.scalars(text(query), {"name": table, "count": count})]
        query = "SELECT seq FROM sqlite_sequence WHERE name = :name"
        # SQLite keeps a sequence only for tables that never reuse ids; for the others, the rows tell.
        ever = int(connection.scalar(text(query), {"name": table}) or 0)
        last = max(ever, int(connection.scalar(select(func.max(metadata.tables[table].c.id))) or 0))
        return list(range(last + 1, last + 1 + count))

    def _engine(self, *, reader: bool) -> Engine:
        if not self.is_sqlite:
            return create_engine(self.url, pool_pre_ping=True, pool_size=8, max_overflow=8)
        engine = create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=8 if reader else 1,
            max_overflow=8 if reader else 0,
            creator=self._connect,
        )

        def connected(connection: sqlite3.Connection, _record: object) -> None:
            connection.isolation_level = None  # transactions begin where `began` begins them, not where sqlite3 guesses
            for pragma in PRAGMAS:
                connection.execute(pragma)

        def began(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")

        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", began)
        return engine

    def _connect(self) -> sqlite3.Connection:
        file = str(self.url.database)
        if not self.read_only:
            return _connect(file)
        uri = f"file:{quote(file)}?mode=ro"
        connection = _connect(uri, uri=True)
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        except sqlite3.OperationalError as error:
            connection.close()
            if _is_busy(error):
                raise
            # SQLite cannot create its files beside it. What an old WAL holds would be overlooked.
            log = Path(f"{file}-wal")
            if log.exists() and log.stat().st_size:
                raise StoreUnavailableError(
                    f"{file} cannot be read where it is: it was not closed properly and its directory is not writable; "
                    f"copy it and {log.name} to another directory, and read it there."
                ) from None
            return _connect(f"{uri}&immutable=1", uri=True)
        return connection

    def _prepare(self) -> None:
        with self.read() as connection:
            version = self._version(
                connection
            )  # before anything is changed: WAL mode would persist in another program's file, too
            if version == HEAD and (not self.is_sqlite or _is_wal(connection)):
                return
        if self.read_only:
            if version == HEAD:
                return
            if version is None:
                raise NotAWorkspaceError(f"{self.shown} is empty; name another database.")
            raise StoreUnavailableError(
                f"{self.shown} has database schema {version}, and this Tally reads {HEAD}; open it once where it is "
                f"writable, or open a copy."
            )
        if self.is_sqlite:
            with self._turn, self._errors(), self._writer.connect() as connection:
                raw = connection.connection.driver_connection
                assert isinstance(raw, sqlite3.Connection)
                if raw.execute("PRAGMA page_count").fetchone()[0] == 0:
                    raw.execute("PRAGMA page_size=8192")
                raw.execute("PRAGMA journal_mode=WAL")
        with self.write() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": APPLICATION_ID})
            version = self._version(connection)
            if version == HEAD:
                return
            upgrade(connection)
            if self.is_sqlite:
                connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")

    def _version(self, connection: Connection) -> str | None:
        """The schema version, None when the database is empty. Raises NotAWorkspaceError when it belongs to another
        program, StoreNewerError when this Tally does not know the version."""
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" not in tables:
            if tables:
                raise NotAWorkspaceError(
                    f"{self.shown} is a database of another program (it has a table {min(tables)!r}); name another one."
                )
            return None
        if "meta" not in tables or "scoring" not in tables:
            raise NotAWorkspaceError(
                f"{self.shown} is a database of another program that uses Alembic; name another one."
            )
        row = connection.execute(text("SELECT version_num FROM alembic_version")).fetchone()
        version = None if row is None else str(row[0])
        if version is not None and (not version.isdecimal() or int(version) > int(HEAD)):
            raise StoreNewerError(
                f"{self.shown} has database schema {version}, made by a newer Tally; this one knows {HEAD}. "
                f"Update Tally, or open another workspace."
            )
        return version

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._sentence(error.orig, gone=error.connection_invalidated) from error
        except self._driver_error() as error:  # from `insert`, which bypasses SQLAlchemy
            raise self._sentence(error) from error
        except SQLAlchemyError as error:
            raise StoreError(f"The database {self.shown} failed: {error}.") from error

    def _driver_error(self) -> type[Exception]:
        kind: type[Exception] = self._writer.dialect.loaded_dbapi.Error
        return kind

    def _sentence(self, error: BaseException | None, *, gone: bool = False) -> StoreError:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        low = why.lower()
        if "not a database" in low or "malformed" in low:
            return NotAWorkspaceError(
                f"{self.shown} is not an SQLite database, or is damaged ({why}); name another file, or restore a copy."
            )
        if _is_busy(error):
            return StoreBusyError(f"{self.shown} is locked by another program; close that program, or try again.")
        if "readonly" in low or "read-only" in low:
            return StoreUnavailableError(
                f"{self.shown} cannot be written (read-only); make it writable, or open a copy."
            )
        if "unable to open" in low:
            return StoreUnavailableError(
                f"{self.shown} cannot be opened; check that the directory exists and is writable."
            )
        if "full" in low or "no space" in low:
            return StoreUnavailableError(
                f"The disk of {self.shown} is full ({why}); free some space. Nothing was lost."
            )
        if gone or "connection" in low:
            return StoreUnavailableError(f"The database {self.shown} cannot be reached: {why}.")
        return StoreError(f"The database {self.shown} refused: {why}.")


def _copy(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], tail: str
) -> int:
    """`Database.insert` with PostgreSQL's COPY, which has no ``ON CONFLICT``: that goes through a temporary table.

    Where known rows are to be left as they are, there are hardly ever any: then all are first copied to where they
    belong, which takes half the time."""
    driver: Any = connection.connection.driver_connection
    names = ", ".join(columns)
    types = _types(connection, table, columns)
    with driver.cursor() as cursor:
        if not tail:
            return _copy_into(cursor, table, names, types, rows)
        if tail == LEAVE_KNOWN:
            cursor.execute("SAVEPOINT all_new")
            try:
                inserted = _copy_into(cursor, table, names, types, rows)
            except connection.dialect.loaded_dbapi.IntegrityError:
                cursor.execute("ROLLBACK TO SAVEPOINT all_new")
            else:
                cursor.execute("RELEASE SAVEPOINT all_new")
                return inserted
        target = f"incoming_{table}"
        like = f"SELECT {names} FROM {table} WITH NO DATA"  # noqa: S608 - names of ours
        cursor.execute(f"CREATE TEMPORARY TABLE {target} ON COMMIT DROP AS {like}")
        _copy_into(cursor, target, names, types, rows)
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {target} {tail}")  # noqa: S608
        inserted = int(cursor.rowcount)
        cursor.execute(f"DROP TABLE {target}")
        return inserted


def _copy_into(cursor: Any, table: str, names: str, types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> int:
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
    return int(cursor.rowcount)


def _types(connection: Connection, table: str, columns: Sequence[str]) -> list[str]:
    """PostgreSQL's names of the types of these columns."""
    kinds = [metadata.tables[table].c[name].type for name in columns]
    return [kind.compile(connection.dialect).partition("(")[0].lower() for kind in kinds]


def _is_busy(error: BaseException | None) -> bool:
    """Whether SQLite says that another program has locked the database."""
    text = str(error).lower()
    return "locked" in text or "database is busy" in text


def _connect(file: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=_BUSY_SECONDS, check_same_thread=False, cached_statements=256, uri=uri)


def _is_wal(connection: Connection) -> bool:
    return connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def _make_private(path: Path) -> None:
    """A new workspace is readable only by its owner, since it contains keys. Raises StoreUnavailableError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be created or opened: {error.strerror}.") from None


def _check_file(path: Path, *, read_only: bool) -> None:
    """Explain in a sentence what SQLite would report as a code. Raises StoreUnavailableError or NotAWorkspaceError."""
    if path.is_dir():
        raise NotAWorkspaceError(f"{path} is a directory; name a file in it.")
    if not path.exists():
        if read_only:
            raise StoreUnavailableError(f"There is no database {path}.")
        if not path.parent.is_dir():
            raise StoreUnavailableError(f"{path} cannot be created: there is no directory {path.parent}.")
        if not os.access(path.parent, os.W_OK):
            raise StoreUnavailableError(f"{path} cannot be created: the directory {path.parent} is not writable.")
        return
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be read: {error.strerror}.") from None
    if head and head != b"SQLite format 3\0":
        raise NotAWorkspaceError(
            f"{path} is not an SQLite database; name another file (a bundle is imported, not opened)."
        )
    if not read_only and not os.access(path, os.W_OK):
        raise StoreUnavailableError(f"{path} cannot be written (read-only); make it writable, or open a copy.")
