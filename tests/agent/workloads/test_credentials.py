"""Secrets stay in memory, are renewed there, and are in no text that leaves a worker; a token that ended has a name."""

from __future__ import annotations

import base64
import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from agent.messages import Auth
from agent.workloads.access import authorization
from agent.workloads.address import reach
from agent.workloads.credentials import Kept, without_tokens
from agent.workloads.jwt import claims, expiry


def token(**said: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{body}.c2lnbmF0dXJl"


def test_what_libraries_read_is_a_file_in_memory_for_its_owner_only() -> None:
    kept = Kept(Auth(token=token(sub="a"), cert="CERT", key="KEY"))
    environ: dict[str, str] = {}
    kept.into_environment(environ)
    named = {"BEARER_TOKEN_FILE", "X509_USER_CERT", "X509_USER_KEY", "XrdSecGSIUSERCERT", "XrdSecGSIUSERKEY"}
    assert set(environ) == named | {"XrdSecGSIUSERPROXY", "XrdSecGSICREATEPROXY"}
    assert (environ["XrdSecGSIUSERPROXY"], environ["XrdSecGSICREATEPROXY"]) == ("/dev/null", "0")
    for name, text in (("BEARER_TOKEN_FILE", token(sub="a")), ("X509_USER_CERT", "CERT"), ("X509_USER_KEY", "KEY")):
        path = Path(environ[name])
        assert path.read_text() == text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.resolve().name.startswith(("token", "certificate", "key", "memfd:"))
    assert (kept.trust.cert, kept.trust.key) == (environ["X509_USER_CERT"], environ["X509_USER_KEY"])


def test_a_proxy_has_its_key_in_it_and_without_credentials_there_are_none() -> None:
    environ: dict[str, str] = {}
    environ["X509_USER_CERT"] = "/home/somebody/cert.pem"
    proxy = Kept(Auth(cert="CERT AND KEY"))
    proxy.into_environment(environ)
    assert {name for name in environ if name.startswith("X509")} == {"X509_USER_PROXY"}
    assert environ["XrdSecGSIUSERCERT"] == environ["XrdSecGSIUSERKEY"] == environ["X509_USER_PROXY"]
    assert proxy.trust.cert == proxy.trust.key == environ["X509_USER_PROXY"]
    environ.clear()
    Kept(Auth()).into_environment(environ)
    assert environ == {}
    assert (Kept(Auth()).trust.cert, Kept(Auth()).token) == ("", "")


def test_what_is_renewed_is_read_at_the_same_places() -> None:
    kept = Kept(Auth(token=token(sub="a long one"), cert="CERT", key="KEY"))
    environ: dict[str, str] = {}
    kept.into_environment(environ)
    kept.renew(Auth(token=token(sub="b"), cert="C2", key="K2"))
    assert kept.token == token(sub="b")
    assert [Path(path).read_text() for path in list(environ.values())[:3]] == [token(sub="b"), "C2", "K2"]


@pytest.mark.parametrize("status", [401, 403, 3010, 3030, 204])
def test_a_refusal_after_the_end_of_a_token_has_that_name(status: int) -> None:
    old = token(exp=1_000_000_000)
    said = Kept(Auth(token=old)).named("open: permission denied", status, old)
    assert said == "token expired: it was valid until 2001-09-09T01:46:40Z; open: permission denied"


def test_other_failures_keep_their_own() -> None:
    old, good = token(exp=1), token(exp=time.time() + 600)
    kept = Kept(Auth(token=good))
    assert kept.named("GET: 404 Not Found", 404, old) == "GET: 404 Not Found"
    assert kept.named("GET: 403 Forbidden", 403, good) == "GET: 403 Forbidden"
    assert kept.named("GET: 403 Forbidden", 403, "") == "GET: 403 Forbidden"
    assert kept.named("GET: 403 Forbidden", 403, token(sub="without an end")) == "GET: 403 Forbidden"


def test_no_text_has_a_token_in_it() -> None:
    used, now = token(sub="a"), token(sub="b")
    kept = Kept(Auth(token=now))
    said = kept.named(f"x ?authz=Bearer%20{used}&y, Bearer {now}; {used} {now}.", 0, used)
    assert used not in said
    assert now not in said
    assert without_tokens("file?authz=Bearer%20abc.def&x=1 authz=q (Bearer t)") == (
        "file?authz=…&x=1 authz=… (Bearer …)"
    )
    assert "secret" not in repr(Auth(token="secret", key="secret"))


def test_a_token_is_shown_over_tls_only() -> None:
    assert authorization(reach("roots://s:1094"), "a.b.c") == "?authz=Bearer%20a.b.c"
    assert authorization(reach("root://s:1094"), "a.b.c") == ""
    assert authorization(reach("roots://s:1094"), "") == ""


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.!!!.c", "a." + base64.urlsafe_b64encode(b"[1]").decode() + ".c"])
def test_what_is_no_token_says_nothing(text: str) -> None:
    assert claims(text) == {}
    assert expiry(text) is None
