"""With what a worker process identifies itself and whom it trusts, for its clients. No secret is on a disk: what a
library takes only as a file is one in memory (`memfd`), which ends with the process.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from agent.messages import Auth
from agent.workloads.authorities import split_certificates, subject_hash
from agent.workloads.curl import Trust, trust_of_machine

PRIVATE: Final = 0o600


class Kept:
    """The credentials of a job, while its process lives."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self.trust = trust_of_machine()
        if auth.ca:
            self.trust = Trust(_in_memory("authorities", auth.ca), "")

    def close(self) -> None:
        """Remove what is on a disk."""
        if self._directory is not None:
            self._directory.cleanup()

    def into_environment(self, environ: MutableMapping[str, str] | None = None) -> None:
        """Tell the XRootD client, which reads the environment. Call it before it is imported."""
        variables = os.environ if environ is None else environ
        if self._auth.ca:
            variables["X509_CERT_DIR"] = self._hashed()

    def _hashed(self) -> str:
        """A directory of the authorities as OpenSSL wants it: each under the hash of its name."""
        self._directory = tempfile.TemporaryDirectory(prefix="tally-ca-")
        counts: dict[str, int] = {}
        for certificate in split_certificates(self._auth.ca):
            name = subject_hash(certificate)
            number = counts[name] = counts.get(name, -1) + 1
            (Path(self._directory.name) / f"{name}.{number}").write_text(certificate)
        return self._directory.name


def _in_memory(name: str, text: str) -> str:
    """The path of a file that is in the memory of this process only."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.fchmod(descriptor, PRIVATE)
    os.write(descriptor, text.encode())
    return f"/proc/self/fd/{descriptor}"
