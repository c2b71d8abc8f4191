"""Whom the hub of a workspace lets in by sign-in: ``[signin]`` of this machine's settings, read when they change.

A list that was made shorter acts within two seconds, however the file was changed. Settings that cannot be used change
nothing: who was let in before still is, and a problem says what is wrong.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from gui.hub.signin.people import People
from gui.hub.signin.provider import SignInOptions
from gui.runner.host import Blocking, Problems
from gui.runner.machine import sign_in_options
from gui.runner.secrets import Secrets, SecretsError
from gui.runner.settings import SettingsError, read_settings
from gui.store import StoreError

log = logging.getLogger("tally.runner")

LOOK_SECONDS = 2.0
WHERE = "sign-in settings"


class SignInSettings:
    """See the module."""

    def __init__(
        self,
        file: Path,
        secrets: Secrets,
        people: People,
        blocking: Blocking,
        problem: Problems,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._file = file
        self._secrets = secrets
        self._people = people
        self._blocking = blocking
        self._problem = problem
        self._sleep = sleep
        self._seen: object = None

    async def run(self) -> None:
        """Read the settings whenever they have changed; cancel it to stop."""
        while True:
            if await self._blocking(self._state) != self._seen:
                await self.read()
            await self._sleep(LOOK_SECONDS)

    async def read(self) -> None:
        """Read the settings, and go by them."""
        self._seen = await self._blocking(self._state)
        try:
            options = await self._blocking(self._options)
            await self._people.use(options)
            wrong = ""
        except (SettingsError, SecretsError, StoreError, ValueError) as error:
            wrong = f"The settings of the sign-in cannot be used: {error}"
        self._problem("error", WHERE, "")
        self._problem("error", WHERE, wrong, "Correct [signin].")

    def _options(self) -> SignInOptions | None:
        settings, wrong = read_settings(self._file)
        ours = [line for line in wrong if "signin." in line]
        if ours:
            raise SettingsError(" ".join(ours))
        return sign_in_options(settings, self._secrets)

    def _state(self) -> object:
        """What changes with the file."""
        try:
            status = self._file.stat()
        except OSError:
            return "there is none"
        return status.st_mtime_ns, status.st_size, status.st_ino
