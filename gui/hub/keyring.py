"""The keys, invitations and holds that a running hub knows: read from the store, and again when they may have changed.

`tally key` and `tally invite` change them in the database while the hub runs. It asks four times a second whether
something has changed, so that whoever is revoked is gone within a second, and at once when a token is signed with an
unknown key.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable

from gui.hub import holds, keys
from gui.hub.audit import AuditLog
from gui.hub.commits import RunBlocking
from gui.hub.persistence import SHARED, Hold, HoldKind, Issued, Key, KeyringStore, Role
from gui.hub.tokens import Bearer
from shoveler.service.tasks import start_task

log = logging.getLogger("tally.hub")

REFRESH_SECONDS = 0.25
RELOAD_SECONDS = 0.5


class Keyring:
    """`book` has the known keys, `holds` what operators decided about agents. `changed` is awaited after each change of
    them; `trouble` is called when the store fails, with "" when it works again."""

    def __init__(
        self,
        store: KeyringStore,
        run_blocking: RunBlocking,
        audit: AuditLog,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        changed: Callable[[], Awaitable[None]],
        trouble: Callable[[str], None],
    ) -> None:
        self.book = keys.KeyBook({}, {})
        self.holds: holds.Holds = {}
        self._store = store
        self._run_blocking = run_blocking
        self._audit = audit
        self._clock = clock
        self._monotonic = monotonic
        self._changed = changed
        self._trouble = trouble
        self._read = float("-inf")
        self._reloading: asyncio.Task[None] | None = None
        self._failing = False
        self._version = ""

    async def load(self) -> None:
        """Read all keys and invitations. Raises what the store raises."""
        version, *rows = await self._run_blocking(self._everything)
        self._version = version
        self._read = self._monotonic()
        if self._failing:
            self._failing = False
            self._trouble("")
        book, held = keys.KeyBook.of(rows[0], rows[1]), holds.by_agent(rows[2])
        if (book, held) != (self.book, self.holds):
            for kid in keys.revoked_since(self.book, book):
                self._audit.add("revoked", kid, "nothing that is signed with this key is accepted any more")
            self.book, self.holds = book, held
            await self._changed()

    def _everything(self) -> tuple[str, list[Key], list[Issued], list[Hold]]:
        version = self._store.credentials_version()  # first: what changes meanwhile is read again
        return version, self._store.keys(), self._store.invitations(), self._store.holds()

    async def look_again(self) -> None:
        """A token with an unknown key has arrived: read all keys again, at most twice a second."""
        if self._reloading is None or self._reloading.done():
            self._reloading = start_task(self._reload_soon(), "hub reads keys for a token")
        await asyncio.shield(self._reloading)

    async def _reload_soon(self) -> None:
        await asyncio.sleep(RELOAD_SECONDS - min(RELOAD_SECONDS, self._monotonic() - self._read))
        try:
            await self.load()
        except Exception as error:  # noqa: BLE001 - whatever the store raises; the hub goes on with the keys it has
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            log.error("! the keys cannot be read", exc_info=error)
            self._trouble(f"The keys cannot be read from the database: {error}")
        self._failing = True

    async def run(self) -> None:
        """The task that notices changes by other processes in the database; cancel it to stop."""
        try:
            while True:
                await asyncio.sleep(REFRESH_SECONDS)
                try:
                    if await self._run_blocking(self._store.credentials_version) != self._version or self._failing:
                        await self.load()
                except Exception as error:  # noqa: BLE001 - as above
                    self._failed(error)
        finally:
            if self._reloading is not None:
                self._reloading.cancel()
                await asyncio.gather(self._reloading, return_exceptions=True)

    # ---- questions

    def is_revoked(self, kid: str) -> bool:
        """Whether the key of a session is no longer valid: revoked, or over. Sessions of the shared key stay."""
        key = self.book.keys.get(kid)
        if kid == SHARED:
            return False
        return key is None or key.state == "revoked" or (key.state == "active" and not keys.usable(key, self._clock()))

    def still_allows(self, bearer: Bearer) -> bool:
        """False if the key was revoked since this token was checked."""
        return bearer.key is None or self.book.keys.get(bearer.key.kid, bearer.key).state != "revoked"

    def belongs_to_somebody(self, name: str) -> bool:
        """Whether an active key is bound to this name."""
        return any(key.sub == name and key.state == "active" for key in self.book.keys.values())

    def held(self, identity: str, what: HoldKind) -> Hold | None:
        """The hold of this agent, if one is good now."""
        found = self.holds.get((identity, what))
        return found if found is not None and found.good(self._clock()) else None

    # ---- changes

    async def invite(self, role: Role, *, ttl: float, uses: int, hub: str, pin: str) -> tuple[Issued, str]:
        """A new invitation and its join string. Raises CredentialError."""
        make = functools.partial(
            keys.invite, self._store, role=role, now=self._clock(), ttl=ttl, uses=uses, hub=hub, pin=pin
        )
        issued: tuple[Issued, str] = await self._run_blocking(make)
        await self.load()
        return issued

    async def redeem(self, issued: Issued, name: str, role: Role) -> Key | None:
        """A personal key for an agent that joins with this invitation; None if it is no longer valid."""
        now = self._clock()
        key = keys.new_key((f"agent:{role}",), now, sub=name)
        good: bool = await self._run_blocking(self._store.redeem, issued.id, key, now)
        await self.load()
        return key if good else None

    async def hold(self, wanted: Hold) -> None:
        """Keep a hold; the hub obeys it at once."""
        await self._run_blocking(holds.hold, self._store, wanted)
        await self.load()

    async def lift(self, identity: str, what: HoldKind, by: str = "") -> bool:
        """Take a hold back; False if there was none."""
        lifted: bool = await self._run_blocking(holds.lift, self._store, identity, what, self._clock(), by)
        await self.load()
        return lifted

    async def revoke(self, kid: str, by: str = "") -> Key:
        """Disable a key; `by` as in `keys.revoke_key`. Raises CredentialError."""
        key: Key = await self._run_blocking(keys.revoke_key, self._store, kid, self._clock(), by)
        await self.load()
        return key
