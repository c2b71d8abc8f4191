"""Text from the wire as fields of a record.

Inside the collector, bytes that are not UTF-8 are kept as surrogates (Python's ``surrogateescape``). A record must be
valid JSON in UTF-8: there the text has replacement characters, and ``NAME_b64`` has the original bytes.
"""

from __future__ import annotations

import binascii
from typing import Any


def put_text(fields: dict[str, Any], name: str, text: str | None) -> None:
    """Set ``fields[name]``; nothing when the text is unknown or empty; ``NAME_b64`` too when it is not UTF-8."""
    if not text:
        return
    if text.isascii():  # nearly always
        fields[name] = text
        return
    raw = text.encode("utf-8", "surrogateescape")
    clean = raw.decode("utf-8", "replace")
    fields[name] = clean
    if clean != text:
        fields[f"{name}_b64"] = binascii.b2a_base64(raw, newline=False).decode()


def clean_text(text: str) -> str:
    """Text with replacement characters where it was not UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def clean_value(value: Any) -> Any:
    """A JSON value whose texts and names have replacement characters where they were not UTF-8."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [clean_value(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): clean_value(item) for key, item in value.items()}
    return value


def clean_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields made valid for a record: by `put_text` for text, by `clean_value` for the rest."""
    cleaned: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, str) and value:
            put_text(cleaned, clean_text(name), value)
        else:
            cleaned[clean_text(name)] = clean_value(value)
    return cleaned


def routing_word(vo: str | None) -> str:
    """A VO as one word of a routing key: no dots, blanks, wildcards or control characters, at most 64 characters."""
    if not vo:
        return "none"
    word = "".join(c if c.isalnum() or c in "-_+@:/" else "_" for c in clean_text(vo).lower())
    return word[:64]
