"""Certificates that are not accepted, and certificates without their key: what is wrong, and who must do something."""

from __future__ import annotations

import contextlib
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from collector.config import SCHEMA as COLLECTOR
from collector.config import plan
from shoveler.bus.amqp_link import untrusted
from shoveler.bus.options import unpaired
from shoveler.config import SCHEMA as SHOVELER
from shoveler.config import problems
from shoveler.service import ConfigError

DAY = datetime.timedelta(days=1)


def certificate(place: Path, begins: datetime.datetime, ends: datetime.datetime) -> tuple[Path, Path]:
    """A certificate of mq.example.org that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mq.example.org")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mq.example.org")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = place / "cert.pem", place / "key.pem"
    cert_file.write_bytes(made.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert_file, key_file


def refusal(files: tuple[Path, Path], host: str, *, trusted: bool = True) -> str:
    """What is said of a broker with this certificate, by who connects to `host`: a handshake without a network."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*files)
    client = ssl.create_default_context(cafile=str(files[0]) if trusted else None)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    far = server.wrap_bio(to_server, to_client, server_side=True)
    near = client.wrap_bio(to_client, to_server, server_hostname=host)
    try:
        for side in (near, far, near):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        return str(untrusted(error, f"{host}:5671"))
    raise AssertionError(f"{host} is trusted")


def test_each_reason_has_its_own_sentence(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    expired = refusal(certificate(tmp_path, now - 3 * DAY, now - DAY), "mq.example.org")
    assert expired == (
        "the certificate of mq.example.org:5671, or of its CA, has expired: it must be renewed there (or this "
        "machine's clock is wrong)"
    )
    early = refusal(certificate(tmp_path, now + DAY, now + 3 * DAY), "mq.example.org")
    assert early == "the certificate of mq.example.org:5671 is not valid yet: one of the two clocks is wrong"
    good = certificate(tmp_path, now - DAY, now + DAY)
    assert refusal(good, "other.example.org") == (
        "the certificate of other.example.org:5671 is for another host: use the name that is in it, or have one made "
        "for other.example.org"
    )
    assert "is for another host" in refusal(good, "192.0.2.1")
    stranger = refusal(good, "mq.example.org", trusted=False)
    assert stranger.startswith("the certificate of mq.example.org:5671 is not trusted: self-signed certificate")
    assert stranger.endswith("check the CA file")


def test_a_certificate_without_its_key_is_refused_before_anything_starts(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    cert, key = certificate(tmp_path, now, now + DAY)
    said = f"bus.cert_file: {cert} holds no private key, and bus.key_file names none"
    assert unpaired(cert, None) == ("bus.cert_file", said)
    assert unpaired(None, key) == ("bus.key_file", "bus.key_file needs bus.cert_file")
    assert unpaired(cert, key) is None
    assert unpaired(None, None) is None
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    assert unpaired(both, None) is None
    shoveler = SHOVELER.load(None, {}).replace(bus__cert_file=str(cert))
    assert [each.text for each in problems(shoveler)] == [said]
    collector = COLLECTOR.load(None, {}).replace(**{"from": "amqps://mq.example.org/"}, bus__cert_file=str(cert))
    with pytest.raises(ConfigError, match="holds no private key"):
        plan(collector, {"STATE_DIRECTORY": str(tmp_path)})
