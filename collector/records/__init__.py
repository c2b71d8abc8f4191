"""Records: what the collector publishes, one JSON object per event.

`FileRecord` is the declared form of a file-access record (``kind = "file"``); readers decode with it::

    record = msgspec.json.decode(body, type=FileRecord)

All other kinds (`KINDS`) are JSON objects described by the schemas that `schema` returns. ``docs/records.md`` explains
every field. In all records, unknown values have no key. Nothing in this package knows how a record is made:
`collector.correlate` joins the facts.
"""

from __future__ import annotations

from collector.records.file import SCHEMA, FileRecord
from collector.records.schemas import KINDS, schema

__all__ = ["KINDS", "SCHEMA", "FileRecord", "schema"]
