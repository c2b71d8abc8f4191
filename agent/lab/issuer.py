"""The issuer of bearer tokens (WLCG profile) of a lab: made with it, gone with it.

Its servers know its public key beforehand: it stands in the cache in which libSciTokens keeps the keys of issuers, so
that no web server is needed. Its private key lies in the lab's directory, for `tally-agent lab token`.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from agent.lab.authority import write_private
from agent.lab.errors import LabError

AUDIENCE: Final = "https://servers.tally.lab"
ISSUER: Final = "https://issuer.tally.lab"
SCOPE: Final = "storage.read:/ storage.modify:/write"
SUBJECT: Final = "tally-lab-user"
SECONDS: Final = 3600.0
BASE: Final = "/store"
"""Paths in scopes are below this directory."""
_KID: Final = "lab"
_FOR_EVER: Final = 10 * 365 * 86400


def make_issuer(key: Path, cache: Path) -> None:
    """A new issuer: its private key in the new file `key`, its public key in the new directory `cache`. Raises
    OSError."""
    secret = ec.generate_private_key(ec.SECP256R1())
    write_private(key, secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    point = secret.public_key().public_numbers()
    public = {"kty": "EC", "crv": "P-256", "x": _number(point.x), "y": _number(point.y)}
    until = int(time.time()) + _FOR_EVER
    kept = {
        "jwks": {"keys": [public | {"kid": _KID, "alg": "ES256", "use": "sig"}]},
        "expires": until,
        "next_update": until,
    }
    (cache / "scitokens").mkdir(parents=True)
    with closing(sqlite3.connect(cache / "scitokens" / "scitokens_cpp.sqllite")) as database, database:
        database.execute("CREATE TABLE keycache (issuer text UNIQUE PRIMARY KEY NOT NULL, keys text NOT NULL)")
        database.execute("INSERT INTO keycache VALUES (?, ?)", (ISSUER, json.dumps(kept)))


def settings() -> str:
    """The configuration of the servers' plug-in."""
    return (
        f"[Global]\naudience = {AUDIENCE}\nonmissing = deny\n\n"
        f"[Issuer lab]\nissuer = {ISSUER}\nbase_path = {BASE}\ndefault_user = lab\n"
    )


def mint(key: Path, *, subject: str, scope: str, audience: str, seconds: float) -> str:
    """A token of the issuer with this key, valid from now for `seconds`; a negative number makes one that has ended.
    Raises LabError."""
    try:
        secret = load_pem_private_key(key.read_bytes(), None)
    except FileNotFoundError:
        raise LabError("this lab has no issuer; start one with `tally-agent lab up --tokens`") from None
    except OSError as error:
        raise LabError(f"the key of the lab's issuer, {key}, cannot be read: {error.strerror}") from None
    now = time.time()
    payload = {
        "wlcg.ver": "1.0",
        "iss": ISSUER,
        "sub": subject,
        "aud": audience,
        "scope": scope,
        "nbf": int(now + min(0.0, seconds)) - 5,
        "iat": int(now + min(0.0, seconds)) - 5,
        "exp": int(now + seconds),
        "jti": os.urandom(8).hex(),
    }
    return jwt.encode(payload, secret, algorithm="ES256", headers={"kid": _KID})  # type: ignore[arg-type]


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(32)).decode().rstrip("=")
