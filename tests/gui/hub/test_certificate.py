"""The hub's key and certificate, and the pin, with the agent's own code on the other side."""

from __future__ import annotations

import asyncio
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from agent.connection import RefusedError, Trust, join, parse_hub
from agent.messages import Register, certificate_pin, sign_token
from gui.hub import Hub, HubOptions
from gui.hub.certificate import CertificateError, given_identity, own_identity


@pytest.fixture
async def tls_hub(tmp_path: Path, memory_store: Any) -> Any:
    async with Hub(memory_store, HubOptions(directory=tmp_path / "tls", host="127.0.0.1", port=0)) as hub:
        yield hub


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    first = own_identity(tmp_path / "hub", ["hub.example", "192.0.2.7"])
    again = own_identity(tmp_path / "hub")
    assert first == again
    assert first.pin.startswith("sha256:")
    assert len(first.pin) == 71
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "hub").stat().st_mode) == 0o700
    certificate = x509.load_pem_x509_certificate(first.certificate.read_bytes())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "hub.example"} <= set(names.get_values_for_type(x509.DNSName))
    assert "192.0.2.7" in map(str, names.get_values_for_type(x509.IPAddress))


def test_a_new_certificate_with_the_same_key_keeps_the_pin(tmp_path: Path) -> None:
    first = own_identity(tmp_path)
    before = first.certificate.read_bytes()
    first.certificate.unlink()
    second = own_identity(tmp_path)
    assert second.certificate.read_bytes() != before
    assert second.pin == first.pin


def test_an_operators_own_pair_is_used_as_it_is(tmp_path: Path) -> None:
    made = own_identity(tmp_path)
    assert given_identity(made.certificate, made.key) == made
    made.context()


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        ("absent", "hub-key.pem", "cannot be read"),
        ("hub-key.pem", "hub-key.pem", "holds no certificate"),
        ("hub-cert.pem", "absent", "cannot be used together"),
        ("hub-cert.pem", "other.pem", "cannot be used together"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, certificate: str, key: str, says: str) -> None:
    own_identity(tmp_path)
    (tmp_path / "other.pem").write_bytes(own_identity(tmp_path / "other").key.read_bytes())
    with pytest.raises(CertificateError, match=says):
        given_identity(tmp_path / certificate, tmp_path / key).context()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CertificateError, match="cannot be kept in"):
        own_identity(tmp_path / "file")


async def test_an_agent_joins_by_the_pin_alone(tls_hub: Hub, shared_secret: str) -> None:
    address = parse_hub(tls_hub.local_address, insecure=False)
    trust = Trust(address, pin=tls_hub.pin.upper().replace("SHA256", "sha256"))
    token = sign_token(shared_secret, sub="c1", scope="agent:client")
    session = await join(address, trust, token, Register(role="client", version="1", host="h"))
    assert session.welcome.public_id == tls_hub.roster.agents[0].id
    await session.close(1000, "")


async def test_a_wrong_pin_never_sees_a_token(tls_hub: Hub, shared_secret: str, memory_store: Any) -> None:
    address = parse_hub(tls_hub.local_address, insecure=False)
    token = sign_token(shared_secret, sub="c1", scope="agent:client")
    with pytest.raises(RefusedError, match="another key"):
        await join(address, Trust(address, pin="sha256:" + "0" * 64), token, Register("client", "1", "h"))
    assert memory_store.spent == {}
    assert tls_hub.roster.agents == ()


async def test_the_certificate_pleases_strict_verification_by_name(tls_hub: Hub, tmp_path: Path) -> None:
    context = ssl.create_default_context(cafile=str(tmp_path / "tls" / "hub-cert.pem"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    reader, writer = await asyncio.open_connection("127.0.0.1", tls_hub.port, ssl=context, server_hostname="localhost")
    tls = writer.get_extra_info("ssl_object")
    assert certificate_pin(tls.getpeercert(binary_form=True)) == tls_hub.pin
    assert tls.version() == "TLSv1.3"
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404")
    writer.close()
    await writer.wait_closed()


async def test_old_tls_and_plain_text_are_turned_away(tls_hub: Hub) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", tls_hub.port)
    writer.write(b"GET /register HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"HTTP/1.1 101" not in await reader.read()
    writer.close()
    await writer.wait_closed()
