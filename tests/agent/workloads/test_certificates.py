"""Client certificates with a real server: over https, and over root with gsi; what is renewed, and what stays."""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from agent.messages import Auth, Protocol
from agent.workloads.authorities import subject_hash
from tests.agent.conftest import XrootdServer, running_xrootd
from tests.agent.workloads.asked import answers

pytestmark = pytest.mark.xrootd

NAME: Final = "/O=Tally tests/CN="
PROXY: Final = x509.UnrecognizedExtension(
    x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14"), bytes.fromhex("300c300a06082b06010505071501")
)
"""Makes a certificate a proxy, with all rights of its owner (RFC 3820)."""


@dataclass(frozen=True)
class Owned:
    """A certificate with its key (PEM). gsi takes RSA keys only."""

    cert: str
    key: str


class Maker:
    """An authority, and what it signs."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self.name = _named("authority")
        self.certificate = self._signed(self.name, self.name, self._key, self._key, ca=True)

    def sign(self, name: str) -> Owned:
        key = rsa.generate_private_key(65537, 2048)
        return Owned(self._signed(_named(name), self.name, key, self._key), _text(key))

    def proxy(self, name: str) -> str:
        """A proxy of a new certificate: it, its key, and the certificate."""
        key, of = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
        owner = _named(name)
        subject = x509.Name([*owner, x509.NameAttribute(NameOID.COMMON_NAME, "4711")])
        return self._signed(subject, owner, key, of, PROXY) + _text(key) + self._signed(owner, self.name, of, self._key)

    def _signed(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: rsa.RSAPrivateKey,
        by: rsa.RSAPrivateKey,
        *more: x509.UnrecognizedExtension,
        ca: bool = False,
    ) -> str:
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(4711 if more else x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(_usage(ca=ca), critical=True)
        )
        if not more:
            made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        for extension in more:
            made = made.add_extension(extension, critical=True)
        return made.sign(by, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _named(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tally tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _text(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _usage(*, ca: bool) -> x509.KeyUsage:
    others = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    return x509.KeyUsage(digital_signature=not ca, key_encipherment=not ca, key_cert_sign=ca, crl_sign=ca, **others)


@pytest.fixture(scope="module")
def maker() -> Maker:
    return Maker()


@pytest.fixture(scope="module")
def place(maker: Maker) -> Iterator[Path]:
    """What the server reads: its authority, its certificate for gsi, who is who, and who may what."""
    with tempfile.TemporaryDirectory(prefix="tally-agent-test-") as name:
        at = Path(name)
        at.chmod(0o755)
        (at / "authorities").mkdir()
        (at / "authorities" / f"{subject_hash(maker.certificate)}.0").write_text(maker.certificate)
        (at / "ca.pem").write_text(maker.certificate)
        own = maker.sign("localhost")
        (at / "server.pem").write_text(own.cert)
        (at / "server.key").write_text(own.key)
        (at / "server.key").chmod(0o400)
        (at / "people").write_text("".join(f'"{NAME}{one}" {one}\n' for one in ("alice", "bob", "carol")))
        (at / "rights").write_text("u alice /store r\nu bob /store r\n")
        if os.getuid() == 0:
            shutil.chown(at / "server.key", "xrootd")
        yield at


def running(place: Path, more: str = "") -> Any:
    lines = (
        f"xrd.tlsca certfile {place}/ca.pem\nhttp.gridmap {place}/people\nofs.authorize 1\nacc.authdb {place}/rights\n"
    )
    return running_xrootd("t", lines + more)


@pytest.fixture(scope="module")
def web(place: Path) -> Iterator[XrootdServer]:
    with running(place) as server:
        server.add("/store/f", 1000)
        yield server


@pytest.fixture(scope="module")
def grid(place: Path) -> Iterator[XrootdServer]:
    gsi = (
        f"xrootd.seclib libXrdSec.so\nsec.protocol gsi -certdir:{place}/authorities -cert:{place}/server.pem "
        f"-key:{place}/server.key -gridmap:{place}/people -crl:0 -gmapopt:2\nsec.protbind * only gsi\n"
    )
    with running(place, gsi) as server:
        server.add("/store/f", 1000)
        yield server


def ask(server: XrootdServer, maker: Maker, protocol: Protocol, *shown: Owned) -> list[tuple[bool, str]]:
    """A request with each of these, in turn, of one worker."""
    trusted = server.ca + maker.certificate
    return answers(server, protocol, *(Auth(trusted, cert=one.cert, key=one.key) for one in shown))


NOBODY = Owned("", "")


def proxies() -> set[Path]:
    return set(Path("/tmp").glob("x509up_u*"))


def test_over_https_the_certificate_says_who_it_is_and_is_renewed(web: XrootdServer, maker: Maker) -> None:
    ((ok, error),) = ask(web, maker, "https", NOBODY)
    assert not ok
    assert error.startswith("GET: 403 Forbidden")
    alice = maker.sign("alice")
    both = Owned(alice.cert + alice.key, "")
    first, second, third, fourth = ask(web, maker, "https", alice, maker.sign("carol"), maker.sign("bob"), alice)
    assert [first[0], second[0], third[0], fourth[0]] == [True, False, True, True], (first, second, third, fourth)
    assert second[1].startswith("GET: 403 Forbidden")
    assert ask(web, maker, "https", both) == [(True, "")]


@pytest.mark.parametrize("protocol", ["root", "roots"])
def test_over_gsi_a_pair_one_file_and_a_proxy(grid: XrootdServer, maker: Maker, protocol: Protocol) -> None:
    before = proxies()
    ((ok, error),) = ask(grid, maker, protocol, NOBODY)
    assert not ok
    assert "Auth failed" in error
    alice, proxy = maker.sign("alice"), Owned(maker.proxy("bob"), "")
    for one in (alice, Owned(alice.cert + alice.key, ""), proxy):
        assert ask(grid, maker, protocol, one) == [(True, "")]
    ((ok, error),) = ask(grid, maker, protocol, maker.sign("carol"))
    assert not ok
    assert proxies() == before, "none was made on the disk"


def test_over_gsi_a_worker_keeps_its_certificate(grid: XrootdServer, maker: Maker) -> None:
    assert [ok for ok, _ in ask(grid, maker, "roots", maker.sign("alice"), maker.sign("carol"))] == [True, True]
