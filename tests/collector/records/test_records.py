"""The declared form of a file record, its schema and its documentation are the same thing."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import msgspec
import pytest

from collector.records import KINDS, FileRecord, schema
from collector.records.schemas import RESERVED

DOCS = Path(__file__).resolve().parents[3] / "docs" / "records.md"


def test_every_kind_has_a_valid_schema() -> None:
    for kind in KINDS:
        jsonschema.Draft202012Validator.check_schema(schema(kind))
        names = schema(kind)["properties"]
        assert kind == "wlcg" or "record_id" in names


def test_an_unknown_kind_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match="no record kind 'files'; there are: file, cache"):
        schema("files")


def test_the_struct_and_the_schema_have_the_same_fields() -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(FileRecord)}
    assert fields == set(schema("file")["properties"])


def test_required_fields_are_the_same() -> None:
    required = {f.encode_name for f in msgspec.structs.fields(FileRecord) if f.required}
    assert required <= set(schema("file")["required"])


def test_every_field_is_documented() -> None:
    text = DOCS.read_text()
    for kind in KINDS:
        for name in schema(kind)["properties"]:
            if not name.endswith("_b64"):
                assert f"`{name}`" in text, f"{name} of {kind}"


def test_every_reason_and_issue_is_documented() -> None:
    text = DOCS.read_text()
    properties = schema("file")["properties"]
    for name in ("incomplete", "known_issue"):
        for value in properties[name]["items"]["enum"]:
            assert f"`{value}`" in text
    for value in properties["access_type"]["enum"]:
        assert f"`{value}`" in text


def test_what_is_unknown_has_no_key_and_reads_as_none() -> None:
    record = FileRecord(
        kind="file", schema=1, record_id="a.f", access_id="a", final=True, server_id="1", stod=2, file_id=3, read=0
    )
    text = msgspec.json.encode(record)
    assert msgspec.json.decode(text) == {
        "kind": "file", "schema": 1, "record_id": "a.f", "access_id": "a", "final": True, "server_id": "1", "stod": 2,
        "file_id": 3, "read": 0,
    }  # fmt: skip
    again = msgspec.json.decode(text, type=FileRecord)
    assert again == record
    assert again.write is None


def test_a_newer_record_with_more_fields_can_still_be_read() -> None:
    text = (
        b'{"kind":"file","schema":2,"record_id":"a.f","access_id":"a","final":true,"server_id":"1","stod":2,"file_id":3,'
        b'"@timestamp":"2026-01-01T00:00:00Z","something_new":[1]}'
    )
    record = msgspec.json.decode(text, type=FileRecord)
    assert record.timestamp == "2026-01-01T00:00:00Z"


def test_reserved_kinds_are_no_kinds_yet_and_documented() -> None:
    assert not set(RESERVED) & set(KINDS)
    assert all(f"kind `{kind}` is reserved" in DOCS.read_text() for kind in RESERVED)
