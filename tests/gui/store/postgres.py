"""A private PostgreSQL server for the tests, where Debian's postgresql is installed; any other is left alone."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.ports import free_port


def find_programs() -> Path | None:
    """The directory with initdb and postgres, None when they are not installed."""
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (directory / "initdb").exists():
            return directory
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class PrivatePostgres:
    """In a temporary directory of its own. PostgreSQL refuses to be root: then it runs as ``postgres``.

    `durable`: what is committed is on the disk, as everywhere but in tests."""

    def __init__(self, programs: Path, *, durable: bool = False) -> None:
        self._directory = directory = Path(tempfile.mkdtemp(prefix="tally-postgres-"))
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(directory, account.pw_uid, account.pw_gid)
        data = directory / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "tally", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True, stdout=subprocess.DEVNULL, user=self._user, cwd="/",
        )  # fmt: skip
        self.port = free_port()
        self._process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(self.port), "-k", directory,
             "-c", f"fsync={'on' if durable else 'off'}",
             "-c", "listen_addresses=127.0.0.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=self._user, cwd="/",
        )  # fmt: skip
        self._wait()
        self.url = f"postgresql://tally@127.0.0.1:{self.port}/postgres"

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self._process.poll() is None, "PostgreSQL ended at once"
                time.sleep(0.05)
            else:
                return
        raise AssertionError("PostgreSQL did not start within 30 s")

    def stop(self) -> None:
        """End it at once and remove its data."""
        self._process.kill()
        self._process.wait(10)
        shutil.rmtree(self._directory)
