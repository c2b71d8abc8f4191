"""What hub and agent must make alike: tokens, pins, join strings; and that bounds hold."""

from __future__ import annotations

import contextlib
import ssl
import time

import jwt
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent import messages as m

KEY = "k" * 32


def test_a_token_says_who_and_what_for() -> None:
    token = m.sign_token(f"  {KEY}\n", sub="c1", scope="agent:client", kid="k7", now=1_000_000.9)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "k7"}
    claims = jwt.decode(
        token, KEY.encode(), algorithms=["HS256"], audience="xrootd-tally", options={"verify_exp": False}
    )
    jti = claims.pop("jti")
    assert len(jti) >= 20
    assert claims == {
        "aud": "xrootd-tally", "sub": "c1", "scope": "agent:client", "iat": 1_000_000, "exp": 1_000_300,
    }  # fmt: skip


def test_the_shared_key_has_no_kid_and_no_token_is_like_another() -> None:
    tokens = [m.sign_token(KEY, sub="c1", scope="agent:client") for _ in range(2)]
    assert tokens[0] != tokens[1]
    assert "kid" not in jwt.get_unverified_header(tokens[0])
    claims = jwt.decode(tokens[0], KEY.encode(), algorithms=["HS256"], audience="xrootd-tally")
    assert abs(claims["iat"] - time.time()) < 5


def test_extra_claims_never_replace_the_ones_that_count() -> None:
    token = m.sign_token(KEY, sub="x", scope="join", lifetime=60, now=0, claims={"role": "client", "aud": "other"})
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["role"], claims["aud"], claims["exp"]) == ("client", "xrootd-tally", 60)


def test_keys_are_measured_in_bytes_without_white_space() -> None:
    assert m.key_bytes("é" * 16) == ("é" * 16).encode()
    with pytest.raises(m.CredentialError, match=r"The key has 31 bytes, but at least 32 are needed; make one with"):
        m.key_bytes("  " + "k" * 31 + "  ")


def test_pins() -> None:
    pin = "sha256:" + "0a" * 32
    assert m.normal_pin(" SHA256:" + ":".join(["0A"] * 32)) == pin
    for text in ("", "sha256:", "sha1:" + "0a" * 32, "0a" * 32, pin + "0", pin[:-1] + "x"):
        with pytest.raises(m.CredentialError, match='A pin is "sha256:" and 64 hexadecimal digits'):
            m.normal_pin(text)
    with pytest.raises(ValueError):
        m.certificate_pin(b"no certificate")


INVITATION = m.Invitation(hub="wss://hub.example.org:8765", token="a.b.c", role="server", pin="sha256:" + "0a" * 32)


def test_join_strings_survive_what_mail_programs_do() -> None:
    text = m.encode_join_string(INVITATION)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert m.decode_join_string(text) == INVITATION
    assert m.decode_join_string(f"  {text[:40]}\n{text[40:]} \n") == INVITATION


@pytest.mark.parametrize("cut", [0, 1, 10, -1, -5])
def test_half_a_join_string_is_said_to_be_one(cut: int) -> None:
    with pytest.raises(m.CredentialError, match="This is not a complete join string"):
        m.decode_join_string(m.encode_join_string(INVITATION)[:cut])


@pytest.mark.parametrize(
    "change", [{"hub": ""}, {"role": "boss"}, {"pin": "sha256:12"}, {"v": 2}, {"token": "x" * 5000}]
)
def test_join_strings_are_checked(change: dict[str, object]) -> None:
    raw = msgspec.json.encode(msgspec.to_builtins(INVITATION) | change)
    with pytest.raises(m.CredentialError):
        m.decode_join_string(__import__("base64").urlsafe_b64encode(raw).decode().rstrip("="))


@pytest.mark.parametrize(
    "bad",
    [
        '{"type":"start_repeat","job":"1.1","workload":{},"slots":1}',
        '{"type":"start_repeat","job":"1.1.1","workload":{},"slots":0}',
        '{"type":"start_repeat","job":"1.1.1","workload":{"kind":"delete"},"slots":1}',
        '{"type":"start_repeat","job":"1.1.1\\n","workload":{},"slots":1}',
        '{"type":"round","job":"1.1.1","round":0,"requests":[["TAGAAAAA",0,"root://s","/f",1,1]]}',
        '{"type":"round","job":"1.1.1","round":0,"requests":[["tagaaaaa",0,"root://s","/f",-1,1]]}',
        '{"type":"round","job":"1.1.1","round":0,"requests":[["tagaaaaa",0,"root://s","",1,1]]}',
        '{"type":"run","command":"rm"}',
        '{"type":"heartbeat","t":1}',
        "[]",
        "",
        '{"type":"goodbye","reason":"x","y":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"type":"goodbye","reason":"x","y":' + "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
def test_what_a_hub_may_not_say(bad: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        m.decode_from_hub(bad)


@pytest.mark.parametrize(
    "message",
    [
        m.Heartbeat(1.0, jobs=["1.2.3"], draining=True),
        m.Journal("j", [m.Started(1, "1.1.1", 0, "tagaaaaa", "root://s", "/f", 1.0)]),
        m.Probed(1, "root://s", answering=True, files=[m.CatalogueFile("/f", None, "no")], more=True),
        m.Sample("1.1.1", 1.0, {"root://s": m.ServerSample(1, 2, 3, 4)}),
        m.Sample("1.1.1", 2.0, {}, 1.0, m.Silence({"root://s": m.Awaited(4, 1.5)})),
    ],
)
def test_messages_survive_the_way(message: m.Message) -> None:
    assert m.decode_from_agent(m.encode(message)) == message


@example(b'{"type":"\xff"}')
@given(st.binary(max_size=300) | st.text(max_size=300, alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_bytes_are_a_message_or_a_decode_error(data: bytes | str) -> None:
    for decode in (m.decode_from_hub, m.decode_from_agent):
        with contextlib.suppress(msgspec.DecodeError):
            decode(data)


def test_unknown_fields_of_a_newer_side_are_skipped() -> None:
    assert m.decode_from_hub('{"type":"goodbye","reason":"x","mood":"fine"}') == m.Goodbye("x")


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        (18, "self-signed certificate", "self-signed certificate"),
        (
            92,
            "CA cert does not include key usage extension",
            "CA cert does not include key usage extension: Python 3.13 and newer accept only certificates that follow "
            "RFC 5280, the CA's with basicConstraints=critical,CA:TRUE and keyUsage=critical,keyCertSign,cRLSign",
        ),
    ],
)
def test_why_a_certificate_is_not_trusted(code: int, message: str, said: str) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    assert m.why_untrusted(error) == said
