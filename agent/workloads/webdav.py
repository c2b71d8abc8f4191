"""The listing of a directory over HTTP: what a server answers to PROPFIND (RFC 4918). Pure."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

DAV: Final = "{DAV:}"


class Entry(NamedTuple):
    """What a directory holds. `size` None: the server gives none."""

    path: str
    folder: bool
    size: int | None


def entries(body: bytes, directory: str) -> list[Entry]:
    """The content of `directory`, by name, without itself. ValueError, with a reason, when `body` is no listing."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise ValueError("it declares entities, which no listing needs")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - without entities there is nothing to expand
    except ElementTree.ParseError as error:
        raise ValueError(f"it is not XML: {error}") from None
    if root.tag != f"{DAV}multistatus":
        raise ValueError(f"it begins with {root.tag[:80]!r}")
    own = directory.rstrip("/")
    found = [entry for response in root.iter(f"{DAV}response") if (entry := _entry(response, own)) is not None]
    return sorted(found, key=lambda entry: entry.path)


def _entry(response: ElementTree.Element, own: str) -> Entry | None:
    path = unquote(urlsplit(response.findtext(f"{DAV}href") or "").path).rstrip("/")
    if path == own or not path.startswith(f"{own}/"):
        return None
    size = next((element.text or "" for element in response.iter(f"{DAV}getcontentlength")), "")
    folder = next(response.iter(f"{DAV}collection"), None) is not None
    return Entry(path, folder, int(size) if size.isascii() and size.isdecimal() else None)
