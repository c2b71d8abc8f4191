"""The store: everything that a workspace remembers, in one SQL database (an SQLite file, or PostgreSQL by URL).

    store = Store("scale.db")                      # or "postgresql://tally@db.example.org/tally"
    store.allocate_tags(800)                       # what the hub asks of its HubStore
    run = store.create_run(name=…, plan_text=…, settle=90.0, tests=[TestSpec(…)], now=t)
    repeat = store.start_repeat(run, 1, 1, t)
    store.add_requests(repeat, [NewRequest(…)], t)   # pending, before they are handed out
    store.store_journal([JournalBatch(…)])         # what the agents report
    store.load([body, …], t)                       # what the collector reports
    store.records_of(request_id), store.requests(repeat), …

Methods are plain and blocking: call them in a thread. Any thread may call any method; writers take turns, readers
never wait. When a method that stores something returns, the data is on disk and the sender may forget it; a method
that raises has stored nothing. All errors are `StoreError`, and their texts are sentences for an operator.

- `engine`: opening, locking, migrating, errors as sentences. `schema`: the tables. `migrations`: their history.
- `access`, `runs`, `records` (with `loader`), `timeline`, `results`: the parts of `Store`. `rows`: its values.
- `arrivals`, `removal`: importing and deleting runs in slices while they are hidden. `programs`: who is doing it.
- `once`: which records were counted. `peers`: records of other collectors, converted to our form.
- `keys`: the hashes that join requests and records.

The store decides nothing: `gui.reconcile` judges, `gui.report` shows. No Qt here.
"""

from gui.store.arrivals import Arrival
from gui.store.engine import Database, parse_database
from gui.store.errors import (
    NoSuchRowError,
    NotAWorkspaceError,
    StoreBusyError,
    StoreConflictError,
    StoreError,
    StoreNewerError,
    StoreUnavailableError,
)
from gui.store.keys import match_key, record_key
from gui.store.loader import AT_ONCE, batched, split_records
from gui.store.peers import PRODUCERS
from gui.store.records import host_of
from gui.store.rows import (
    PERSON,
    AgentEntry,
    CacheUse,
    HandedRequest,
    LoadedRow,
    LoadResult,
    LostDatagram,
    MarkerRow,
    NewRequest,
    NoteRow,
    RecordEntry,
    RecordFlags,
    RepeatEntry,
    RequestEntry,
    RequestState,
    RunEntry,
    SampleRow,
    ScoringEntry,
    Seal,
    ServerEntry,
    StatusPair,
    StatusStep,
    TestEntry,
    TestSpec,
    UsageNames,
    UsageRow,
    VerdictKind,
    VerdictRow,
    answer,
)
from gui.store.store import Store

__all__ = [
    "AT_ONCE",
    "PERSON",
    "PRODUCERS",
    "AgentEntry",
    "Arrival",
    "CacheUse",
    "Database",
    "HandedRequest",
    "LoadResult",
    "LoadedRow",
    "LostDatagram",
    "MarkerRow",
    "NewRequest",
    "NoSuchRowError",
    "NotAWorkspaceError",
    "NoteRow",
    "RecordEntry",
    "RecordFlags",
    "RepeatEntry",
    "RequestEntry",
    "RequestState",
    "RunEntry",
    "SampleRow",
    "ScoringEntry",
    "Seal",
    "ServerEntry",
    "StatusPair",
    "StatusStep",
    "Store",
    "StoreBusyError",
    "StoreConflictError",
    "StoreError",
    "StoreNewerError",
    "StoreUnavailableError",
    "TestEntry",
    "TestSpec",
    "UsageNames",
    "UsageRow",
    "VerdictKind",
    "VerdictRow",
    "answer",
    "batched",
    "host_of",
    "match_key",
    "parse_database",
    "record_key",
    "split_records",
]
