"""With what a worker process identifies itself and whom it trusts, for its clients. No secret is on a disk: what a
library takes only as a file is one in memory (`memfd`), which ends with the process.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from agent.messages import Auth
from agent.workloads.authorities import split_certificates, subject_hash
from agent.workloads.curl import Trust, trust_of_machine
from agent.workloads.jwt import expiry

PRIVATE: Final = 0o600
DENIED: Final = (401, 403, 3010, 3030, 204)
"""What servers answer to whom they do not let in: HTTP's, then kXR_NotAuthorized and kXR_AuthFailed; and what the
XRootD client says of a login that failed (errAuthFailed)."""
_CERTIFICATES: Final = ("X509_USER_PROXY", "X509_USER_CERT", "X509_USER_KEY")
_AUTHZ: Final = re.compile(r"(authz=|Bearer(?:%20| ))[^\s&?\"',;)]+")


class Kept:
    """The credentials of a job, while its process lives. `renew` replaces them; what was handed out stays valid."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._token = _Memory("token", auth.token)
        self._cert = _Memory("certificate", auth.cert)
        self._key = _Memory("key", auth.key)
        machine = trust_of_machine()
        own, directory = machine.file, machine.directory
        if auth.ca:
            own, directory = _Memory("authorities", auth.ca).path, ""
        self.trust = Trust(own, directory, self._cert.path, self._key.path or self._cert.path)

    @property
    def token(self) -> str:
        """The bearer token, as it is now; empty: there is none."""
        return self._auth.token

    def renew(self, auth: Auth) -> None:
        """From now on these. Authorities stay those of the beginning."""
        self._token.write(auth.token)
        self._cert.write(auth.cert)
        self._key.write(auth.key)
        self._auth = auth

    def close(self) -> None:
        """Remove what is on a disk."""
        if self._directory is not None:
            self._directory.cleanup()

    def into_environment(self, environ: MutableMapping[str, str] | None = None) -> None:
        """Tell the XRootD client, which reads the environment. Call it before it is imported."""
        variables = os.environ if environ is None else environ
        if self._auth.ca:
            variables["X509_CERT_DIR"] = self._hashed()
        if self._token.path:
            variables["BEARER_TOKEN_FILE"] = self._token.path
        if self._cert.path:
            for name in _CERTIFICATES:
                variables.pop(name, None)  # those of whoever started the agent
            in_one = self.trust.cert == self.trust.key
            names = ("X509_USER_PROXY",) * 2 if in_one else ("X509_USER_CERT", "X509_USER_KEY")
            variables.update(zip(names, (self.trust.cert, self.trust.key), strict=True))
            variables["XrdSecGSIUSERCERT"], variables["XrdSecGSIUSERKEY"] = self.trust.cert, self.trust.key
            # It looks for a proxy first: without a name, for that of whoever the agent runs as.
            variables["XrdSecGSIUSERPROXY"] = os.devnull
            # It would make a proxy of what is none, as a file on the disk.
            variables["XrdSecGSICREATEPROXY"] = "0"

    def named(self, error: str, status: int, token: str) -> str:
        """The error of a request that was made with `token`, without any token in it; if the server did not let the
        client and the token has ended, under that name."""
        text = without_tokens(error)
        for secret in {token, self.token} - {""}:
            text = text.replace(secret, "…")
        ends = expiry(token)
        if status in DENIED and ends is not None and ends <= time.time():
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
            return f"token expired: it was valid until {at}; {text}"
        return text

    def _hashed(self) -> str:
        """A directory of the authorities as OpenSSL wants it: each under the hash of its name."""
        self._directory = tempfile.TemporaryDirectory(prefix="tally-ca-")
        counts: dict[str, int] = {}
        for certificate in split_certificates(self._auth.ca):
            name = subject_hash(certificate)
            number = counts[name] = counts.get(name, -1) + 1
            (Path(self._directory.name) / f"{name}.{number}").write_text(certificate)
        return self._directory.name


def without_tokens(text: str) -> str:
    """A text without the tokens that a library has put into it. Pure."""
    return _AUTHZ.sub(r"\1…", text)


class _Memory:
    """A file in the memory of this process only; none for an empty text."""

    def __init__(self, name: str, text: str) -> None:
        self._descriptor = -1
        self.path = ""
        """Empty: there is no file."""
        if text:
            self._descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
            os.fchmod(self._descriptor, PRIVATE)
            self.path = f"/proc/self/fd/{self._descriptor}"
            self.write(text)

    def write(self, text: str) -> None:
        """Replace what is in it, if there is one."""
        if self._descriptor >= 0 and text:
            data = text.encode()
            os.pwrite(self._descriptor, data, 0)
            os.ftruncate(self._descriptor, len(data))
