"""The certificate authority of a lab: made with it, gone with it. It signs the certificate of its servers.

Its own certificate is public and lies in the lab's directory, for clients to trust; its key is on no disk.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 365
_HOUR = datetime.timedelta(hours=1)


class Authority:
    """One authority; made anew for each lab."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tally lab"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Lab authority {os.urandom(4).hex()}"),
            ]
        )
        self._certificate = (
            _about(name, name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def certificate(self) -> bytes:
        """Its own certificate (PEM)."""
        return self._certificate.public_bytes(Encoding.PEM)

    def sign(self, name: str, *, server: bool) -> tuple[bytes, bytes]:
        """A new certificate and its key (PEM): for a server on this machine, or for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tally lab"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] + [ExtendedKeyUsageOID.SERVER_AUTH] * server
        about = (
            _about(subject, self._certificate.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        )
        if server:
            about = about.add_extension(x509.SubjectAlternativeName(_names_of_this_machine()), critical=False)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return about.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM), secret


def write_private(path: Path, content: bytes, owner: tuple[int, int] | None = None) -> None:
    """A new file with a secret, for `owner` (uid, gid) alone: XRootD accepts no other. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    with os.fdopen(descriptor, "wb") as out:
        if owner is not None:
            os.fchown(descriptor, *owner)
        out.write(content)


def _about(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _HOUR)
        .not_valid_after(now + datetime.timedelta(days=DAYS))
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _names_of_this_machine() -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys(["localhost", *_host()])]
    return names + [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", "::1")]


def _host() -> list[str]:
    """The name of this machine, which a redirector gives to clients; none if no certificate can hold it."""
    name = socket.gethostname()
    return [name] if name.isascii() and name else []
