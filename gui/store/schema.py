"""The tables of a workspace, as SQLAlchemy Core metadata; `migrations` brings a database to exactly this.

Rules:

- Times are Unix seconds (double), sizes bytes, flags 0 or 1 (so that they can be summed in any SQL).
- Ids that other programs or people may remember (runs, tags, requests, records, scorings) are never reused:
  AUTOINCREMENT on SQLite, an identity sequence on PostgreSQL.
- ``match_key`` is a signed 64-bit hash of tag and path (`gui.store.keys.match_key`). It carries the join of requests
  and records, always together with the tag's own integer id, which keeps the index of one run in one place and makes
  two different tags differ whatever their hashes. The path is compared too.
- ``request`` and ``record`` declare no foreign keys: the ids in them are looked up in the transaction that inserts
  them, and checking each row again would take a third of the time of a load.
- No column is called t, count or index: SQLAlchemy's rows have attributes of these names.
- JSON columns are text, written and read with msgspec; nothing in SQL looks inside them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Big = BigInteger().with_variant(Integer, "sqlite")
"""64 bits everywhere; SQLite uses its fast rowid only for a column declared INTEGER."""


def _table(name: str, *columns: Any, keep_ids: bool = False, is_index: bool = False) -> Table:
    """A table. `keep_ids`: an id is never reused, not even after its row was deleted. `is_index`: SQLite stores the
    table as the index of its primary key."""
    return Table(name, metadata, *columns, sqlite_autoincrement=keep_ids, sqlite_with_rowid=not is_index)


def _id() -> Column[int]:
    return Column("id", Big, primary_key=True, autoincrement=True)


# ---------------------------------------------------------------- workspace, keys, agents

meta = _table("meta", Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))

signing_key = _table(
    "signing_key",
    _id(),
    Column("kid", String(256), nullable=False, unique=True),
    Column("secret", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("sub", String(256)),
    Column("shared", SmallInteger, nullable=False, default=0),
    Column("state", String(16), nullable=False),
    Column("until", Double),
    keep_ids=True,
)

invitation = _table(
    "invitation",
    _id(),
    Column("invitation", String(256), nullable=False, unique=True),
    Column("secret", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("revoked", SmallInteger, nullable=False, default=0),
    keep_ids=True,
)

spent_token = _table(
    "spent_token",
    Column("jti", String(512), primary_key=True),
    Column("expires", Double, nullable=False, index=True),
)

agent = _table(
    "agent",
    _id(),
    Column("identity", String(600), nullable=False, unique=True),
    Column("name", String(256), nullable=False),
    Column("role", String(16), nullable=False, default=""),
    Column("facts", Text, nullable=False, default="{}"),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    keep_ids=True,
)

journal = _table(
    "journal",
    Column("agent_id", Big, ForeignKey("agent.id"), primary_key=True),
    Column("journal", String(256), primary_key=True),
    Column("stored", BigInteger, nullable=False),
    Column("strays", BigInteger, nullable=False, default=0),
)

server = _table(
    "server",
    _id(),
    Column("url", String(1024), nullable=False, unique=True),
    Column("name", String(1024), nullable=False),
    Column("labels", Text, nullable=False, default="[]"),
    Column("source", String(64), nullable=False, default=""),
    keep_ids=True,
)

# ---------------------------------------------------------------- runs, requests

run = _table(
    "run",
    _id(),
    Column("uid", String(32), nullable=False, unique=True),
    Column("name", String(256), nullable=False),
    Column("plan_text", Text, nullable=False),
    Column("settle", Double, nullable=False),
    Column("state", String(32), nullable=False),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("message", Text, nullable=False, default=""),
    Column("environment", Text, nullable=False, default="{}"),
    Column("versions", Text, nullable=False, default="{}"),
    Column("baseline", SmallInteger, nullable=False, default=0),
    Column("origin", String(256), nullable=False, default=""),
    Column("seal", Text),  # `gui.store.Seal` as JSON; null: made here, or imported before there were seals
    Column("hidden", Text),  # the program that imports or deletes it; null: visible
    keep_ids=True,
)

test = _table(
    "test",
    _id(),
    Column("run_id", Big, ForeignKey("run.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("name", String(256), nullable=False, default=""),
    Column("servers", Integer, nullable=False),
    Column("files_per_server", Integer, nullable=False),
    Column("per_round", Integer, nullable=False),
    Column("wait", Double, nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("pass_at", Double, nullable=False),
    Column("workload", Text, nullable=False, default="{}"),
    Column("mix", Text, nullable=False, default="[]", server_default="[]"),  # workloads, if there are several
    UniqueConstraint("run_id", "number"),
    keep_ids=True,
)

repeat = _table(
    "repeat",
    _id(),
    Column("test_id", Big, ForeignKey("test.id"), nullable=False),
    Column("run_id", Big, ForeignKey("run.id"), nullable=False),
    Column("test_number", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(32), nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("settled", Double),
    Column("settle_complete", SmallInteger),
    Column("settle_reason", Text, nullable=False, default=""),
    UniqueConstraint("run_id", "test_number", "number"),
    keep_ids=True,
)

tag = _table(
    "tag",
    _id(),
    Column("tag", String(8), nullable=False, unique=True),
    Column("repeat_id", Big, ForeignKey("repeat.id"), index=True),
    Column("agent_id", Big, ForeignKey("agent.id"), index=True),
    Column("server_id", Big, ForeignKey("server.id"), index=True),
    Column("slot", Integer),
    keep_ids=True,
)

request = _table(
    "request",
    _id(),
    Column("repeat_id", Big, nullable=False, index=True),
    Column("tag_id", Big, nullable=False),
    Column("server_id", Big, nullable=False),
    Column("match_key", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("ok", SmallInteger, nullable=False),
    Column("t_started", Double),
    Column("t_open", Double),
    Column("t_close", Double),
    Column("read_asked", BigInteger, nullable=False),
    Column("read_got", BigInteger, nullable=False),
    Column("readv_asked", BigInteger, nullable=False),
    Column("readv_got", BigInteger, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("read_ops", BigInteger, nullable=False),
    Column("readv_ops", BigInteger, nullable=False),
    Column("write_ops", BigInteger, nullable=False),
    Column("reached", Text),
    Column("status", BigInteger, nullable=False),
    Column("error", Text),
    Column(
        "share", SmallInteger, nullable=False, default=0, server_default="0"
    ),  # the place of its workload in the mix
    # Seconds that its parts took (`agent.messages.Phases`); null: there was no such part.
    Column("took_name", Double),
    Column("took_connect", Double),
    Column("took_tls", Double),
    Column("took_open", Double),
    Column("took_first", Double),
    Index("ix_request_tag_id_match_key", "tag_id", "match_key"),
    keep_ids=True,
)

PHASES = tuple(column.name for column in request.columns if column.name.startswith("took_"))
"""Columns of `agent.messages.Phases`, in its order."""

# ---------------------------------------------------------------- records

origin = _table(
    "origin",
    _id(),
    Column("server_id", String(64), nullable=False),
    Column("stod", BigInteger, nullable=False),
    Column("server", String(256), nullable=False),
    Column("facts", Text, nullable=False),
    Column("loaded_final", BigInteger, nullable=False, default=0),
    Column("loaded_provisional", BigInteger, nullable=False, default=0),
    UniqueConstraint("server_id", "stod", "server"),
    keep_ids=True,
)

record = _table(
    "record",
    _id(),
    Column("tag_id", Big, nullable=False),
    Column("match_key", BigInteger, nullable=False),
    Column("record_key", BigInteger, nullable=False),  # odd: final; even: provisional (`gui.store.keys.record_key`)
    Column("origin_id", Big, nullable=False),
    Column("file_id", BigInteger, nullable=False),
    Column("read", BigInteger, nullable=False),
    Column("readv", BigInteger, nullable=False),
    Column("write", BigInteger, nullable=False),
    Column("body", BigInteger, nullable=False),  # record_block.id × 512 + its place there
    Column("path", Text, nullable=False),
    Column("flags", Text),  # {"known_issue": […], "incomplete": […]}, if any
    # The key is unique whatever the path: two paths of one tag whose 64-bit hashes agree AND whose accesses agree in 63
    # bits do not exist. Integers only, since this index takes most of the time of a load.
    Index("ix_record_identity", "tag_id", "match_key", "record_key", unique=True),
    keep_ids=True,
)

record_block = _table(
    "record_block",
    _id(),
    Column("loaded", Double, nullable=False),
    Column("bodies", LargeBinary, nullable=False),
    keep_ids=True,
)

# What was counted, and how long it is remembered: `gui.store.once`.
seen = _table(
    "seen",
    Column("moment", BigInteger, primary_key=True, autoincrement=False),
    Column("record_key", BigInteger, primary_key=True, autoincrement=False),
    is_index=True,
)

seen_day = _table(
    "seen_day",
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("ids", BigInteger, nullable=False),
    Column("touched", Integer, nullable=False),  # the last day on which something was added
    Column("sealed", SmallInteger, nullable=False),
)

foreign_seen = _table(  # before 0005, by the day of loading; nothing is added any more
    "foreign_seen",
    Column("record_hash", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("day", Integer, nullable=False, index=True),
)

never_closed = _table(
    "never_closed",
    Column("access_key", Big, primary_key=True, autoincrement=False),
    Column("daily_id", Big, nullable=False),  # where it was counted as such
    Column("since", Integer, nullable=False),  # day of loading
)

daily = _table(
    "daily",
    _id(),
    Column("day", Integer, nullable=False),
    Column("own", SmallInteger, nullable=False),
    Column("server", String(256), nullable=False),
    Column("site", String(256), nullable=False),
    Column("org", String(256), nullable=False),
    Column("directory", String(256), nullable=False),
    Column("person", String(256), nullable=False),
    Column("accesses", BigInteger, nullable=False),
    Column("provisional", BigInteger, nullable=False),
    Column("read", BigInteger, nullable=False),
    Column("readv", BigInteger, nullable=False),
    Column("write", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    UniqueConstraint("day", "own", "server", "site", "org", "directory", "person"),
    keep_ids=True,
)

other_kind = _table(
    "other_kind",
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(64), primary_key=True),
    Column("server", String(256), primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("sums", Text, nullable=False, default="{}"),
)

# ---------------------------------------------------------------- what happened along the way

sample = _table(
    "sample",
    Column("repeat_id", Big, ForeignKey("repeat.id"), primary_key=True),
    Column("second", Integer, primary_key=True, autoincrement=False),
    Column("server_id", Big, ForeignKey("server.id"), primary_key=True),
    Column("requested", BigInteger),
    Column("read", BigInteger),
    Column("recorded", BigInteger),
    Column("failed", BigInteger),
    Column("bytes_read", BigInteger),
    Column("bytes_recorded", BigInteger),
)

marker = _table(
    "marker",
    _id(),
    Column("run_id", Big, ForeignKey("run.id"), nullable=False, index=True),
    Column("at", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("text", Text, nullable=False),
    keep_ids=True,
)

pipeline_status = _table(
    "pipeline_status",
    Column("run_id", Big, ForeignKey("run.id"), primary_key=True),
    Column("program", String(16), primary_key=True),
    Column("member", String(256), primary_key=True),
    Column("started", Double, primary_key=True),
    Column("first_t", Double, nullable=False),
    Column("first_body", Text, nullable=False),
    Column("last_t", Double, nullable=False),
    Column("last_body", Text, nullable=False),
)

status_step = _table(
    "status_step",
    _id(),
    Column("run_id", Big, ForeignKey("run.id"), nullable=False, index=True),
    Column("program", String(16), nullable=False),
    Column("member", String(256), nullable=False),
    Column("body", Text, nullable=False),
)

run_origin = _table(
    "run_origin",
    Column("run_id", Big, ForeignKey("run.id"), primary_key=True),
    Column("origin_id", Big, ForeignKey("origin.id"), primary_key=True),
    Column("loaded", BigInteger, nullable=False),
)

# ---------------------------------------------------------------- results

scoring = _table(
    "scoring",
    _id(),
    Column("repeat_id", Big, ForeignKey("repeat.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("at", Double, nullable=False),
    Column("record_mark", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("recorded", BigInteger, nullable=False),
    Column("matched", BigInteger, nullable=False),
    Column("late", BigInteger, nullable=False),
    Column("wrong_bytes", BigInteger, nullable=False),
    Column("missing", BigInteger, nullable=False),
    Column("duplicate", BigInteger, nullable=False),
    Column("client_failed", BigInteger, nullable=False),
    Column("not_waited", BigInteger, nullable=False, server_default="0"),
    Column("unreported", BigInteger, nullable=False),
    Column("unrequested", BigInteger, nullable=False),
    Column("recovered", BigInteger, nullable=False),
    Column("bytes_asked", BigInteger, nullable=False),
    Column("bytes_got", BigInteger, nullable=False),
    Column("bytes_recorded", BigInteger, nullable=False),
    Column("first_open", Double),
    Column("last_close", Double),
    keep_ids=True,
)

verdict = _table(
    "verdict",
    Column("scoring_id", Big, ForeignKey("scoring.id"), primary_key=True),
    # Indexed: to delete a request is to ask whether a verdict refers to it. So with agents, servers and tags.
    Column("request_id", Big, ForeignKey("request.id"), primary_key=True, index=True),
    Column("verdict", SmallInteger, nullable=False),
    Column("recorded", SmallInteger, nullable=False),
    Column("accesses", Integer, nullable=False),
    Column("read", BigInteger, nullable=False),
    Column("readv", BigInteger, nullable=False),
    Column("write", BigInteger, nullable=False),
    Column("behaviours", Text),
    Column("lost_at", String(32)),
    Column("certain", SmallInteger),
    Column("cause", Text),
    Column("datagram", Text),
    Column("lost_with", String(256)),
)

note = _table(
    "note",
    _id(),
    Column("run_id", Big, ForeignKey("run.id"), nullable=False, index=True),
    Column("at", Double, nullable=False),
    Column("author", String(256), nullable=False),
    Column("text", Text, nullable=False),
    keep_ids=True,
)

audit = _table(
    "audit",
    _id(),
    Column("at", Double, nullable=False),
    Column("who", String(256), nullable=False),
    Column("what", String(64), nullable=False),
    Column("text", Text, nullable=False),
    keep_ids=True,
)
