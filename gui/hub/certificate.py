"""The hub's TLS key and certificate, created at the first run, and the pin by which agents recognise them.

The pin is the SHA-256 of the public key (SubjectPublicKeyInfo), so a renewed certificate with the same key keeps it.
A certificate supplied by the operator is used as it is.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.messages import certificate_pin

CERTIFICATE = "hub-cert.pem"
KEY = "hub-key.pem"
YEARS = 10


class CertificateError(Exception):
    """The key or certificate cannot be used; one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Where the hub's certificate and key are, and its pin (``sha256:HEX``)."""

    certificate: Path
    key: Path
    pin: str

    def context(self) -> ssl.SSLContext:
        """A server-side TLS context, TLS 1.2 or newer. CertificateError when key and certificate do not match."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.num_tickets = 0  # agents reconnect too rarely to resume, and each ticket costs time in every handshake
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (ssl.SSLError, OSError) as error:
            raise CertificateError(f"{self.certificate} and {self.key} cannot be used together: {error}.") from error
        return context


def own_identity(directory: Path, names: Iterable[str] = ()) -> Identity:
    """The identity kept in `directory`, created if there is none yet. `names`: more host names or addresses for a new
    certificate. Raises CertificateError."""
    certificate, key = directory / CERTIFICATE, directory / KEY
    try:
        if not certificate.exists():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            private = _private_key(key)
            write_whole(certificate, _self_signed(private, names).public_bytes(Encoding.PEM), 0o644)
    except OSError as error:
        raise CertificateError(f"The hub's certificate cannot be kept in {directory}: {error.strerror}.") from error
    return given_identity(certificate, key)


def given_identity(certificate: Path, key: Path) -> Identity:
    """An identity from files in PEM form (the certificate may be followed by its chain). Raises CertificateError."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise CertificateError(f"The certificate {certificate} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CertificateError(f"{certificate} holds no certificate in PEM form.") from error
    return Identity(certificate, key, certificate_pin(leaf.public_bytes(Encoding.DER)))


def _private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if path.exists():  # the certificate was removed to get a new one: the key, and so the pin, stays
        try:
            existing = load_pem_private_key(path.read_bytes(), password=None)
        except ValueError as error:
            raise CertificateError(f"{path} holds no private key; remove it to have a new one made.") from error
        if isinstance(existing, ec.EllipticCurvePrivateKey):
            return existing
    private = ec.generate_private_key(ec.SECP256R1())
    write_whole(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    return private


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write a file atomically, never readable by others before its mode is set."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _self_signed(private: ec.EllipticCurvePrivateKey, names: Iterable[str]) -> x509.Certificate:
    host = socket.gethostname()
    wanted = dict.fromkeys(["localhost", "127.0.0.1", "::1", host, *names])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Tally hub on {host}"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    public = private.public_key()
    key_id = x509.SubjectKeyIdentifier.from_public_key(public)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        # Agents whose clock is a day behind must still be able to connect, to learn about it.
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in wanted if name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(key_id, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False)
        .sign(private, hashes.SHA256())
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
