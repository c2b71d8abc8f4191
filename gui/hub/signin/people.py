"""The people who have signed in: their personal keys are made, renewed and ended here.

    confirmed by the provider ─ welcome ─► allow-list ─► personal key (12 h)
                                                            │  used, and confirmed again ─► 12 h more
    signed out · revoked · not confirmed · off the list · over ─┴► end: the key is revoked, sessions close at once

A sign-in that is in use is confirmed every ten minutes, so that whoever leaves a team or a group is out ten minutes
later. While the provider cannot be reached nothing is renewed, and keys end at their time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from gui.hub.audit import AuditLog
from gui.hub.commits import RunBlocking
from gui.hub.keyring import Keyring
from gui.hub.keys import new_secret, usable
from gui.hub.persistence import Key, PeopleStore, Person, SignIn
from gui.hub.refusals import Refusals
from gui.hub.signin.allow import AllowList, PersonRole
from gui.hub.signin.fetch import Http, HttpClient, ProviderError, RefusedError, Threads
from gui.hub.signin.github import GitHub
from gui.hub.signin.oidc import Oidc
from gui.hub.signin.provider import Confirmed, Provider, SignInOptions, Tokens
from gui.hub.signin.seal import Seal, SealError
from gui.hub.tokens import AdmissionError
from shoveler.service.tasks import Tasks

log = logging.getLogger("tally.hub")

KEY_SECONDS = 12 * 3600.0
CONFIRM_SECONDS = 600.0
AGAIN_SECONDS = 60.0
"""After how long a provider that did not answer is asked again."""
BEAT_SECONDS = 1.0
KEEP_ENDED_SECONDS = 86400.0
PRUNE_SECONDS = 3600.0
MAX_OF_ONE = 20
"""Sign-ins of one person at once; the oldest ends when there are more."""
PAGE_SCOPE = "page"
"""Of the key of a browser's sign-in: no token may have it, so the key opens nothing but the page."""


class NoSignInError(Exception):
    """This hub trusts no sign-in now; one sentence says why."""


class NotAllowedError(Exception):
    """The provider has confirmed somebody whom no list names; one sentence."""

    def __init__(self, person: Person, text: str) -> None:
        super().__init__(text)
        self.person = person


@dataclass(frozen=True, slots=True)
class Trust:
    """What a hub goes by: its settings, the list and the provider that follow from them."""

    options: SignInOptions
    allow: AllowList
    provider: Provider
    seal: Seal


@dataclass(frozen=True, slots=True)
class Granted:
    """A new sign-in: its key, and the secret that belongs to the program or the browser."""

    sign_in: SignIn
    key: Key
    secret: str

    def __repr__(self) -> str:
        return f"Granted({self.sign_in!r})"


class People:
    """See the module. `live` gives the keys of all sessions that are open, and `over` closes those whose key is not
    good any more; all methods belong to the event loop."""

    def __init__(
        self,
        store: PeopleStore,
        keyring: Keyring,
        audit: AuditLog,
        refusals: Refusals,
        run_blocking: RunBlocking,
        directory: Path,
        *,
        live: Callable[[], Iterable[str]],
        over: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
        trouble: Callable[[str], None],
        http: Callable[[SignInOptions], Http] = lambda options: HttpClient(options.ca_file),
    ) -> None:
        self.trust: Trust | None = None
        self.threads = Threads()
        self._why_not = "This hub trusts no sign-in: its settings name no provider in [signin]."
        self._store = store
        self._keyring = keyring
        self._audit = audit
        self._refusals = refusals
        self._run_blocking = run_blocking
        self._directory = directory
        self._live = live
        self._over = over
        self._clock = clock
        self._trouble = trouble
        self._http = http
        self._sign_ins: dict[str, SignIn] = {}
        self._used: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._changing = asyncio.Lock()
        self._background = Tasks(log)
        self._pruned = float("-inf")

    # ---- what this hub trusts

    async def load(self) -> None:
        """Read who has signed in before. Raises what the store raises."""
        self._sign_ins = {one.kid: one for one in await self._run_blocking(self._store.sign_ins)}

    async def use(self, options: SignInOptions | None) -> None:
        """Go by these settings from now on; whoever they do not name any more is out at once. None: nobody signs in.

        Raises ValueError when nobody could sign in with them; the hub then goes by what it had before."""
        self.trust = None if options is None else await self._trusted(options)
        await self.judge()

    async def _trusted(self, options: SignInOptions) -> Trust:
        options.check()
        http = self._http(options)
        provider: Provider = (
            GitHub(options, http, self._clock) if options.is_github else Oidc(options, http, self._clock)
        )
        try:
            seal = await self._run_blocking(Seal, self._directory)
        except SealError as error:
            raise ValueError(str(error)) from error
        return Trust(options, options.allow_list(), provider, seal)

    def needed(self) -> Trust:
        """What this hub goes by. Raises NoSignInError when nobody can sign in."""
        if self.trust is None:
            raise NoSignInError(self._why_not)
        if self.trust.allow.empty:
            raise NoSignInError("Nobody is let in by sign-in here: no list of operators or observers names anybody.")
        return self.trust

    async def judge(self) -> None:
        """End the sign-ins that the settings do not allow any more."""
        for one in list(self._sign_ins.values()):
            if not self._keyring.is_revoked(one.kid) and self._role(one.person) not in ("operator", one.role):
                await self.end(one.kid, "this hub's lists do not name them any more")

    def _role(self, person: Person) -> PersonRole | None:
        trust = self.trust
        if trust is None:
            return None
        issuer = trust.options.github.rstrip("/") if trust.options.is_github else trust.options.provider
        return trust.allow.role(person) if person.issuer == issuer else None

    # ---- somebody has signed in

    async def welcome(self, confirmed: Confirmed, via: str, host: str, address: str) -> Granted:
        """A personal key for whom the provider has confirmed. Raises NotAllowedError, NoSignInError, or what the store
        raises. `via`: ``program`` or ``page``; `host`: what it calls itself; `address`: where it connects from."""
        trust, person, now = self.needed(), confirmed.person, self._clock()
        role = self._role(person)
        if role is None:
            text = f"{person.shown} ({trust.options.title}, subject {person.subject}) is named by no list of this hub"
            self._refusals.note(address, AdmissionError(403, "not_named", f"{text}."))
            await self._forget_tokens(confirmed.tokens)
            raise NotAllowedError(person, f"{text}; ask whoever runs it.")
        page = via == "page"
        secret = new_secret()
        key = Key(
            f"{'p' if page else 'u'}-{secrets.token_hex(6)}",
            sha256(secret.encode()).hexdigest() if page else secret,
            (PAGE_SCOPE,) if page else ("operator", "observer") if role == "operator" else ("observer",),
            now,
            sub=name_of(person),
            until=min(now + KEY_SECONDS, now + trust.options.lasts),
        )
        ends, sealed = now + trust.options.lasts, trust.seal.close(confirmed.tokens)
        sign_in = SignIn(key.kid, "page" if page else "program", person, role, host, now, ends, now, sealed)
        async with self._changing:
            await self._keep(sign_in, key)
        self._used[key.kid] = now
        self._audit.add(
            "signed in", f"{key.kid}/{key.sub}", f"{person.shown} by {trust.options.title} as {role}, {address}"
        )
        await self._end_oldest(person)
        return Granted(sign_in, key, secret)

    async def _keep(self, sign_in: SignIn, key: Key) -> None:
        """Store both; nothing, if somebody has revoked the key meanwhile, of which the keyring then knows."""
        if await self._run_blocking(self._store.put_sign_in, sign_in, key):
            self._sign_ins[sign_in.kid] = sign_in
        await self._keyring.load()

    async def _end_oldest(self, person: Person) -> None:
        theirs = [
            one
            for one in self._sign_ins.values()
            if (one.person.issuer, one.person.subject) == (person.issuer, person.subject)
            and not self._keyring.is_revoked(one.kid)
        ]
        for one in sorted(theirs, key=lambda one: one.since)[:-MAX_OF_ONE]:
            await self.end(one.kid, f"there are more than {MAX_OF_ONE} of this person")

    # ---- somebody comes back

    def of_cookie(self, cookie: str) -> SignIn | None:
        """The sign-in of a browser, by its cookie ``KID.SECRET``; None if it is not good now."""
        kid, _, secret = cookie.partition(".")
        key, sign_in = self._keyring.book.keys.get(kid), self._sign_ins.get(kid)
        if key is None or sign_in is None or sign_in.via != "page" or not usable(key, self._clock()):
            return None
        if self._role(sign_in.person) is None:
            return None  # the lists were read a moment ago, and this sign-in is about to be ended
        if not hmac.compare_digest(sha256(secret.encode()).hexdigest(), key.secret):
            return None
        self.touch(kid)
        return sign_in

    def touch(self, kid: str) -> None:
        """A key is used: it is worth renewing."""
        if kid in self._sign_ins:
            self._used[kid] = self._clock()

    @property
    def signed_in(self) -> int:
        """How many sign-ins are good now."""
        return sum(self.good(kid) for kid in self._sign_ins)

    def good(self, kid: str) -> bool:
        """Whether a person's key is good now."""
        key = self._keyring.book.keys.get(kid)
        return kid in self._sign_ins and key is not None and usable(key, self._clock())

    # ---- the end

    async def end(self, kid: str, why: str) -> bool:
        """End a sign-in: its key is revoked, its sessions are closed, and the provider's tokens are given back. False
        if there is none, or it has ended before."""
        async with self._changing:
            sign_in = self._sign_ins.get(kid)
            key = self._keyring.book.keys.get(kid)
            if sign_in is None or key is None or key.state == "revoked":
                return False
            await self._keyring.revoke(kid, f"the hub: {why}")
            self._audit.add("signed out", f"{kid}/{name_of(sign_in.person)}", why)
        await self._drop_tokens(kid)
        return True

    async def _drop_tokens(self, kid: str) -> None:
        """Forget the provider's tokens of a sign-in that has ended, and tell the provider."""
        async with self._changing:
            sign_in, key = self._sign_ins.get(kid), self._keyring.book.keys.get(kid)
            if sign_in is None or key is None or not sign_in.sealed:
                return
            tokens = self.trust.seal.open(sign_in.sealed) if self.trust is not None else None
            await self._keep(replace(sign_in, sealed=""), key)
        if tokens is not None:
            await self._forget_tokens(tokens)

    async def _forget_tokens(self, tokens: Tokens) -> None:
        trust = self.trust
        if trust is None:
            return

        async def tell() -> None:
            try:
                await self.threads.run(trust.provider.forget, tokens)
            except ProviderError as error:  # the hub has them no more; the provider will let them expire
                log.warning("! tokens that are not used any more may be good for a while: %s", error)

        self._background.start(tell(), "give tokens back to the provider")

    # ---- all the time

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While this block runs, sign-ins are renewed and ended at their time."""
        self._background.start(self._end_at_their_time(), "hub ends sign-ins")
        self._background.start(self._confirm_those_in_use(), "hub renews sign-ins")
        try:
            yield
        finally:
            await self._background.close()

    async def _end_at_their_time(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.tidy()
                failing = False
            except Exception:
                if not failing:
                    log.exception("! sign-ins cannot be ended in the database; their keys are not accepted any more")
                failing = True
                await self._over()

    async def tidy(self) -> None:
        """End what is over, and forget what ended a day ago."""
        now = self._clock()
        for kid, sign_in in list(self._sign_ins.items()):
            key = self._keyring.book.keys.get(kid)
            if key is None:
                continue
            if key.state == "revoked" and sign_in.sealed:
                await self._drop_tokens(kid)
            elif key.state == "active" and not usable(key, now):
                await self.end(kid, "its time is over")
        if not 0 <= now - self._pruned < PRUNE_SECONDS:
            self._pruned = now
            await self._prune(now)

    async def _prune(self, now: float) -> None:
        old = []
        for kid in self._sign_ins:
            key = self._keyring.book.keys.get(kid)
            if key is None or (key.state == "revoked" and (key.until or 0.0) < now - KEEP_ENDED_SECONDS):
                old.append(kid)
        if old:
            await self._run_blocking(self._store.forget_sign_ins, old)
            for kid in old:
                del self._sign_ins[kid]
                self._used.pop(kid, None)
                self._asked.pop(kid, None)
            await self._keyring.load()

    async def _confirm_those_in_use(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.renew()
                failing = False
            except Exception:
                if not failing:
                    log.exception("! sign-ins cannot be renewed in the database")
                failing = True

    async def renew(self) -> None:
        """Ask the provider about the sign-ins that are in use and were not confirmed for ten minutes."""
        now = self._clock()
        for kid in self._live():
            self.touch(kid)
        due = [kid for kid in self._used if self._due(kid, now)]
        outcomes = await asyncio.gather(*(self._confirm(self._sign_ins[kid]) for kid in due), return_exceptions=True)
        for failure in (outcome for outcome in outcomes if isinstance(outcome, BaseException)):
            raise failure

    def _due(self, kid: str, now: float) -> bool:
        sign_in = self._sign_ins.get(kid)
        if sign_in is None or not self.good(kid) or self._used[kid] <= sign_in.checked:
            return False
        asked = self._asked.get(kid, float("-inf"))
        return now - sign_in.checked >= CONFIRM_SECONDS and not 0 <= now - asked < AGAIN_SECONDS

    async def _confirm(self, sign_in: SignIn) -> None:
        trust, now = self.trust, self._clock()
        tokens = trust.seal.open(sign_in.sealed) if trust is not None else None
        if trust is None or tokens is None:
            return  # nobody can be asked: the key ends at its time
        self._asked[sign_in.kid] = now
        try:
            confirmed = await self.threads.run(trust.provider.confirm, tokens)
        except RefusedError as error:
            if _renewable(trust, tokens):
                await self.end(sign_in.kid, str(error).rstrip("."))
            return
        except ProviderError as error:
            log.warning("! %s is not confirmed again: %s", sign_in.person.shown, error)
            self._trouble(f"Nobody's sign-in can be renewed: {error}")
            return
        self._trouble("")
        if confirmed.person.subject != sign_in.person.subject:
            await self.end(sign_in.kid, "the provider names somebody else now")
        else:
            await self._renewed(trust, sign_in, confirmed)

    async def _renewed(self, trust: Trust, sign_in: SignIn, confirmed: Confirmed) -> None:
        """Keep what the provider said, and give the key twelve hours more, if the lists still name the person."""
        allowed = self._role(confirmed.person) in ("operator", sign_in.role)
        async with self._changing:
            key, now = self._keyring.book.keys.get(sign_in.kid), self._clock()
            if key is None or not usable(key, now):
                return  # it ended meanwhile
            until = min(now + KEY_SECONDS, sign_in.ends) if allowed else key.until
            sealed = trust.seal.close(confirmed.tokens)
            kept = replace(sign_in, person=confirmed.person, checked=now, sealed=sealed)
            await self._keep(kept, replace(key, until=until))
        if not allowed:
            await self.end(sign_in.kid, "this hub's lists do not name them any more")


def _renewable(trust: Trust, tokens: Tokens) -> bool:
    """Whether a refusal says something about the person: an issuer that gave no refresh token cannot be asked."""
    return trust.options.is_github or bool(tokens.refresh)


def name_of(person: Person) -> str:
    """The name that a person's tokens carry: what people call them, as far as a name may have it."""
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", person.login or person.email.partition("@")[0])[:64].strip("-._")
    return text or f"person-{sha256(person.subject.encode()).hexdigest()[:8]}"
