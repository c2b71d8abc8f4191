"""The identity provider of the tests: `oidc-provider` from npm, which `packaging/setup.sh test` has installed."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

CLIENT, SECRET = "tally", "the secret of the hub as a client"
START_SECONDS = 60.0
MODULES = Path(sys.prefix) / "idp" / "node_modules"
SCRIPT = Path(__file__).parent / "idp" / "provider.mjs"


@dataclass
class IdentityProvider:
    """A running one. Whoever names an account at its form is signed in as that."""

    issuer: str
    _process: asyncio.subprocess.Process

    async def take_away(self, login: str) -> None:
        """The account is gone from now on."""
        await self._tell(f"gone {login}")

    async def put_into(self, login: str, *groups: str) -> None:
        """The account is in these groups from now on."""
        await self._tell(f"groups {login} {','.join(groups)}")

    async def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()
        await asyncio.sleep(0.2)  # it has no answer to that


@asynccontextmanager
async def identity_provider(back: str) -> AsyncIterator[IdentityProvider]:
    """Run it; `back`: the address that it sends people back to."""
    node = shutil.which("node")
    if node is None or not MODULES.exists():
        raise RuntimeError("The identity provider is not installed; run: packaging/setup.sh test")
    process = await asyncio.create_subprocess_exec(
        node, str(SCRIPT), str(MODULES), CLIENT, SECRET, back,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            issuer = (await process.stdout.readline()).decode().strip()
        if not issuer:
            raise RuntimeError(f"The identity provider has ended with {await process.wait()}.")
        yield IdentityProvider(issuer, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
