"""Certificates under the names that OpenSSL looks for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from agent.lab.authority import Authority
from agent.messages import Auth
from agent.workloads.authorities import split_certificates, subject_hash
from agent.workloads.credentials import Kept


def named(*names: x509.NameAttribute) -> str:
    import datetime

    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.Name(names))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def by_openssl(certificate: str) -> str:
    return subprocess.run(
        ["openssl", "x509", "-noout", "-hash"], input=certificate, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    "names",
    [
        [x509.NameAttribute(NameOID.COMMON_NAME, "Plain CA")],
        [x509.NameAttribute(NameOID.COMMON_NAME, "  Many   blanks\tand TABS ")],
        [x509.NameAttribute(NameOID.COMMON_NAME, "Ünï\u0130 \u00a0\u00a0CA")],
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE", _ASN1Type.PrintableString),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Bmp", _ASN1Type.BMPString),
            x509.NameAttribute(NameOID.COMMON_NAME, "T61 \xe9", _ASN1Type.T61String),
            x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "Example", _ASN1Type.IA5String),
        ],
        [x509.NameAttribute(NameOID.COMMON_NAME, "x" * 60)] * 5,
    ],
)
def test_the_hash_is_that_of_openssl(names: list[x509.NameAttribute]) -> None:
    certificate = named(*names)
    assert subject_hash(certificate) == by_openssl(certificate)


def test_a_bundle_becomes_a_directory(tmp_path: Path) -> None:
    first, second = Authority().certificate.decode(), Authority().certificate.decode()
    text = f"a remark\n{first}{second}{first}"
    assert split_certificates(text) == [first, second, first]
    environ: dict[str, str] = {}
    kept = Kept(Auth(text))
    kept.into_environment(environ)
    files = {path.name: path.read_text() for path in Path(environ["X509_CERT_DIR"]).iterdir()}
    kept.close()
    assert not Path(environ["X509_CERT_DIR"]).exists()
    assert files == {
        f"{subject_hash(first)}.0": first, f"{subject_hash(first)}.1": first, f"{subject_hash(second)}.0": second,
    }  # fmt: skip
    environ = {}
    Kept(Auth()).into_environment(environ)
    assert environ == {}


def test_what_is_no_certificate() -> None:
    with pytest.raises(ValueError):
        subject_hash("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
