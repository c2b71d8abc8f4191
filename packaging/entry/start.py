"""How a frozen program starts: it trusts the certificates of the system it runs on."""

from __future__ import annotations

import multiprocessing
import os
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

SYSTEM_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # EL, Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",  # EL, older
    "/etc/ssl/ca-bundle.pem",  # SUSE
)


def trust_the_system() -> None:
    """The OpenSSL inside looks where the machine that built it has certificates: say where this one has them."""
    if "SSL_CERT_FILE" in os.environ or "SSL_CERT_DIR" in os.environ:
        return
    usual = ssl.get_default_verify_paths()
    if usual.cafile or (usual.capath and any(Path(usual.capath).iterdir())):
        return
    for path in SYSTEM_CERTIFICATES:
        if Path(path).is_file():
            os.environ["SSL_CERT_FILE"] = path
            return


def start(main: Callable[[], int]) -> None:
    """Run a program and end with its exit code."""
    multiprocessing.freeze_support()
    trust_the_system()
    sys.exit(main())
