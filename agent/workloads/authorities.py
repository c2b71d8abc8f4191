"""Certificates of authorities in a directory of OpenSSL: one file each, under the hash of its subject. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SET: Final = 0x31
_SEQUENCE: Final = 0x30
_UTF8: Final = 12
_STRINGS: Final = {12: "utf-8", 19: "ascii", 20: "latin-1", 22: "ascii", 26: "ascii", 28: "utf-32-be", 30: "utf-16-be"}
"""Tags of ASN.1 strings whose text counts, in any of these encodings; other values count as they are."""


def split_certificates(text: str) -> list[str]:
    """The certificates of a PEM text, one text each."""
    return [match.group() + "\n" for match in _PEM.finditer(text)]


def subject_hash(certificate: str) -> str:
    """The eight digits under which OpenSSL looks for a certificate (PEM): ``openssl x509 -hash``. Raises ValueError."""
    from cryptography import x509

    subject = x509.load_pem_x509_certificate(certificate.encode()).subject.public_bytes()
    # Text in UTF-8, in lower case, with single blanks; the names one after the other, without the frame around all.
    _, names, _ = _element(subject)
    digest = hashlib.sha1(b"".join(map(_canonical, _elements(names))), usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _canonical(name: bytes) -> bytes:
    _, pairs, _ = _element(name)
    parts = []
    for pair in _elements(pairs):
        _, inside, _ = _element(pair)
        kind, value = _elements(inside)
        tag, data, _ = _element(value)
        if tag in _STRINGS:
            # Of bytes: capitals and blanks beyond ASCII stay as they are.
            value = _made(_UTF8, b" ".join(data.decode(_STRINGS[tag]).encode().split()).lower())
        parts.append(_made(_SEQUENCE, kind + value))
    return _made(_SET, b"".join(parts))


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """(tag, content, what follows) of a DER element."""
    size, start = data[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start])
    return data[0], data[start : start + size], data[start + size :]


def _elements(data: bytes) -> list[bytes]:
    """The elements that follow one another, whole."""
    found = []
    while data:
        _, _, rest = _element(data)
        found.append(data[: len(data) - len(rest)])
        data = rest
    return found


def _made(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content
