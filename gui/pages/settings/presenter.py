"""Settings: what is kept, what is being edited, and what [Test], [Apply] and the lists of keys do. No Qt.

A *draft* is what the fields say; [Apply] writes it to the file and uses it: the bus at once, the hub when the workspace
is opened again. Passwords are typed into the draft and kept by `gui.runner.secrets`; they are never shown again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from gui.hub import keys
from gui.hub.certificate import CERTIFICATE, CertificateError, given_identity
from gui.hub.persistence import Key
from gui.hub.signin.people import NoSignInError
from gui.models.keys import KeyRow, key_rows
from gui.pages.desk import Desk
from gui.runner.buscheck import Places, check_bus
from gui.runner.checklist import Check
from gui.runner.databasecheck import check_database
from gui.runner.errors import EXPECTED
from gui.runner.lab import read_lab, running_lab
from gui.runner.machine import (
    bus_account,
    bus_password,
    database_account,
    database_address,
    default_database,
    sign_in_account,
    split_password,
    workspace_options,
)
from gui.runner.secrets import Secrets
from gui.runner.settings import (
    BY_NAME,
    FILE,
    LAB,
    MachineSettings,
    SettingsError,
    default,
    read_settings,
    take_apart,
    write_settings,
)
from gui.runner.signin import WHERE
from gui.runner.workspace import Workspace
from gui.store import Store, StoreError
from shoveler.bus import BusAddress, BusError, BusOptions, parse_bus_address

log = logging.getLogger("tally.window")

BUS, DATABASE, SIGN_IN = "bus", "database", "signin"
SECRETS = (BUS, DATABASE, SIGN_IN)
UNOPENED = "Kept; it is used when a workspace is opened."
KEYS_SECONDS = 2.0
"""How often the list of keys is read again while it is shown."""
_FILES = {"hub.certificate", "hub.key"}
_TAKEN_APART = {"bus.address", "database.address"}
TYPED_AT_ONCE = 3
"""Characters by which a field grows at a key; more were pasted."""


@dataclass(frozen=True, slots=True)
class SecretState:
    """How it stands with a password. `place`: ``keyring`` or a file; `kept`: there is one for this account."""

    place: str = ""
    kept: bool = False
    typed: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class HubFacts:
    """How it stands with the hub. `address` is empty while it does not run."""

    address: str = ""
    agents: int = 0
    pin: str = ""
    own_certificate: bool = False
    reopen: bool = False
    """Settings of the hub have changed since the workspace was opened."""


@dataclass(frozen=True, slots=True)
class SignInFacts:
    """How it stands with the sign-in of people. `page`: the hub's page; `back`: the address to register."""

    icon: str = "ring"
    words: str = "starts when a workspace is opened"
    colour: str = "mute"
    page: str = ""
    back: str = ""


class SettingsView(Protocol):
    """The page."""

    def show_settings(self, draft: MachineSettings, mistakes: Mapping[str, str], *, dirty: bool) -> None: ...
    def show_notes(self, notes: Sequence[str]) -> None: ...
    def show_secret(self, name: str, state: SecretState) -> None: ...
    def show_checks(self, name: str, checks: Sequence[Check], *, running: bool) -> None: ...
    def show_hub(self, facts: HubFacts) -> None: ...
    def show_sign_in(self, facts: SignInFacts) -> None: ...
    def show_lab(self, text: str, directory: str) -> None: ...
    def show_open_database(self, shown: str, default: str) -> None: ...
    def show_keys(self, rows: Sequence[KeyRow] | None, trouble: str) -> None: ...
    def show_new_key(self, key: Key) -> None: ...
    def show_outcome(self, text: str, colour: str) -> None: ...


class SettingsPresenter:
    """See the module. `applied` is called with the settings that are used from now on."""

    def __init__(
        self,
        desk: Desk,
        page: SettingsView,
        data: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._desk = desk
        self._page = page
        self._data = data
        self._environ = environ
        self._clock = clock
        self._secrets = Secrets(data)
        self.file = data / FILE
        self.kept = MachineSettings({})
        self.draft = MachineSettings({})
        self._typed: dict[str, str] = {}
        self._file_mistakes: dict[str, str] = {}
        self._notes: list[str] = []
        self._opened_with: MachineSettings | None = None
        """The settings that the open workspace was opened with; None for a demonstration."""
        self._test: asyncio.Task[Any] | None = None
        self._keys_read = float("-inf")
        self._pin = ""
        self._read()

    # ---- what is kept

    def _read(self) -> None:
        try:
            self.kept, self._notes = read_settings(self.file)
        except SettingsError as error:
            self.kept, self._notes = MachineSettings({}), [str(error)]
        if self._environ.get("TALLY_BUS"):
            self._notes.append("TALLY_BUS is set for this program and comes before the bus that is named here.")
        self.draft = self.kept

    def show(self) -> None:
        """The page comes to the front: show what is kept, unless something is being edited."""
        if not self.dirty:
            self._read()
        self._page.show_notes(self._notes)
        self._show()
        self._show_hub()
        self._desk.background(self._look_up(), "look at passwords")
        self.look(force=True)

    @property
    def dirty(self) -> bool:
        """Whether something was changed that is not applied yet."""
        names = {*self.draft.values, *self.kept.values}
        return bool(self._typed) or any(self.draft[name] != self.kept[name] for name in names)

    @property
    def mistakes(self) -> dict[str, str]:
        """A sentence for each field that cannot be used."""
        found = {name: text for name, text in self.draft.mistakes().items() if name not in _FILES}
        return found | self._file_mistakes

    def _show(self) -> None:
        self._page.show_settings(self.draft, self.mistakes, dirty=self.dirty)

    # ---- editing

    def edit(self, name: str, text: str) -> None:
        """A field was changed. What was pasted whole is taken apart at once, what is typed when the field is left."""
        pasted = "@" in text and len(text) > len(self.draft[name]) + TYPED_AT_ONCE
        self.draft = self.draft.with_values({name: text})
        if pasted and name in _TAKEN_APART:
            self.entered(name)
            return
        if name in _FILES:
            self._desk.background(self._check_files(), "look at the certificate")
        self._page.show_outcome("", "")
        self._show()

    def entered(self, name: str) -> None:
        """A field was left: an address with a password in it is taken apart."""
        if name in _TAKEN_APART:
            queue = take_apart(self.draft["bus.address"]).queue
            self._take_apart()
            self._show()
            if queue:
                self._page.show_outcome(
                    f"The queue {queue} is left out: each workspace has a queue of its own.", "info"
                )
        if name in ("bus.address", "bus.user", "database.address", "signin.provider", "signin.client_id"):
            self._desk.background(self._look_up(), "look at passwords")

    def _take_apart(self) -> None:
        pasted = take_apart(self.draft["bus.address"])
        values = {"bus.address": pasted.address}
        if pasted.user is not None:
            values["bus.user"] = pasted.user
        if pasted.exchange is not None:
            values["bus.records_exchange"] = pasted.exchange
        if pasted.password is not None:
            self._typed[BUS] = pasted.password
        values["database.address"], password = split_password(self.draft["database.address"])
        if password:
            self._typed[DATABASE] = password
        changed = {name: text for name, text in values.items() if text != self.draft[name]}
        self.draft = self.draft.with_values(changed)

    def restore(self, names: Sequence[str]) -> None:
        """Back to the defaults of these settings; [Apply] makes it so."""
        self.draft = self.draft.with_values({name: default(name) for name in names})
        self._file_mistakes = {}
        self._page.show_outcome("", "")
        self._show()
        self._desk.background(self._look_up(), "look at passwords")

    def restore_section(self, section: str) -> None:
        """Back to the defaults of a section; of all, for an empty name."""
        self.restore([name for name in BY_NAME if name.startswith(section)])

    def discard(self) -> None:
        """Forget what was not applied."""
        self.draft = self.kept
        self._typed.clear()
        self._file_mistakes = {}
        self._page.show_outcome("", "")
        self._show()
        self._desk.background(self._look_up(), "look at passwords")

    def type_secret(self, name: str, password: str) -> None:
        """A password was typed; empty: it stays as it is."""
        if password:
            self._typed[name] = password
        else:
            self._typed.pop(name, None)
        self._show()

    async def _check_files(self) -> None:
        draft = self.draft
        found = await asyncio.to_thread(draft.mistakes)
        if draft == self.draft:
            self._file_mistakes = {name: text for name, text in found.items() if name in _FILES}
            self._show()

    # ---- passwords

    def _account(self, name: str, settings: MachineSettings) -> str:
        """Whose password it is; empty when there is nobody yet."""
        try:
            if name == SIGN_IN:
                complete = settings["signin.provider"] and settings["signin.client_id"]
                return sign_in_account(settings) if complete else ""
            if name == DATABASE:
                return database_account(settings["database.address"]) if settings["database.address"] else ""
            bus = settings.replaced(bus__kind="rabbitmq").bus()
            return bus_account(parse_bus_address(bus)) if bus else ""
        except (BusError, StoreError, ValueError):
            return ""

    async def _look_up(self) -> None:
        draft = self.draft
        self._pin = await asyncio.to_thread(self._pin_on_disk)
        for name in SECRETS:
            state = await asyncio.to_thread(self._secret_state, self._account(name, draft))
            if draft == self.draft:
                self._page.show_secret(name, replace(state, typed=name in self._typed))

    def _secret_state(self, account: str) -> SecretState:
        try:
            return SecretState(self._secrets.place(), bool(account and self._secrets.read(account)))
        except EXPECTED as error:
            return SecretState(self._secrets.place(), trouble=str(error))

    def forget_secret(self, name: str) -> None:
        """Remove the password that is kept for what the fields name."""
        self._desk.background(self._forget_secret(name), "forget a password")

    async def _forget_secret(self, name: str) -> None:
        account = self._account(name, self.draft)
        self._typed.pop(name, None)
        try:
            await asyncio.to_thread(self._secrets.forget, account)
        except EXPECTED as error:
            self._page.show_outcome(str(error), "bad")
        else:
            self._page.show_outcome(f"The password of {account.partition(' ')[2]} is forgotten.", "ok")
            if name == SIGN_IN:
                await self._use_sign_in()
        self._show()
        await self._look_up()

    # ---- applying

    def apply(self) -> None:
        """Keep what the fields say, and use it."""
        self._take_apart()
        if not self.dirty or self.mistakes:
            return
        self._desk.background(self._apply(), "apply settings")

    async def _apply(self) -> None:
        draft, before, typed = self.draft, self.kept, dict(self._typed)
        mistakes = await asyncio.to_thread(draft.mistakes)
        if mistakes:
            self._file_mistakes = {name: text for name, text in mistakes.items() if name in _FILES}
            self._show()
            return
        try:
            await asyncio.to_thread(self._write, draft, typed)
        except EXPECTED as error:
            self._page.show_outcome(str(error), "bad")
            return
        self.kept = draft
        self._typed = {name: text for name, text in self._typed.items() if typed.get(name) != text}
        self._notes = [note for note in self._notes if note.startswith("TALLY_BUS")]
        self._page.show_notes(self._notes)
        self._show()
        words = "Kept; the next run uses it." if self._desk.workspace is not None else UNOPENED
        colour = "ok"
        changed = {name for name in BY_NAME if draft[name] != before[name]}
        if BUS in typed or any(name.startswith("bus.") and name != "bus.management" for name in changed):
            words, colour = await self._use_bus(draft)
        if (changed and all(name.startswith("signin.") for name in changed)) or typed.keys() == {SIGN_IN}:
            words = "Kept; the hub goes by it now." if self._desk.workspace is not None else UNOPENED
        if SIGN_IN in typed or any(name.startswith("signin.") for name in changed):
            await self._use_sign_in()
        self._page.show_outcome(words, colour)
        self._show_hub()
        await self._look_up()

    async def _use_sign_in(self) -> None:
        """Let the open workspace's hub go by the settings and the secret of now; a demonstration has none."""
        workspace = self._desk.workspace
        if workspace is not None and workspace.sign_in is not None:
            await workspace.sign_in.read()

    def _write(self, settings: MachineSettings, typed: Mapping[str, str]) -> None:
        write_settings(self.file, settings)
        for name, password in typed.items():
            account = self._account(name, settings)
            if account:
                self._secrets.write(account, password)

    async def _use_bus(self, settings: MachineSettings) -> tuple[str, str]:
        """Connect the open workspace again; a demonstration keeps its own bus. Returns words and their colour."""
        workspace = self._desk.workspace
        if workspace is None:
            return UNOPENED, "ok"
        if workspace.options.secrets is None:
            return "Kept. The demonstration that is open keeps its own bus.", "ok"
        options = workspace_options(self._data, "unused", settings, self._environ)
        try:
            await workspace.use_bus(options)
        except EXPECTED as error:
            return f"Kept, but not used yet: {error}", "warn"
        where = options.bus_url(None)
        return ("Kept; the workspace connects to it now." if where or options.lab else "Kept; no bus is named."), "ok"

    # ---- the test of the bus and of the database

    def test_bus(self) -> None:
        """Test the bus that the fields name, whether it was applied or not."""
        self._start_test(self._test_bus())

    def test_database(self) -> None:
        """Look at the database that the field names."""
        self._start_test(self._test_database())

    def _start_test(self, work: Coroutine[Any, Any, None]) -> None:
        self._take_apart()
        self._show()
        if self._test is not None:
            self._test.cancel()
        self._test = self._desk.background(work, "test")

    async def _test_bus(self) -> None:
        draft = self.draft
        checks: list[Check] = []
        self._page.show_checks(BUS, (), running=True)
        pool = ThreadPoolExecutor(1, "test of the bus")  # its connection belongs to one thread
        loop = asyncio.get_running_loop()
        steps = None
        try:
            address, options, places = await loop.run_in_executor(pool, self._subject, draft, self._desk.workspace)
            steps = check_bus(address, options, places)
            while (check := await loop.run_in_executor(pool, next, steps, None)) is not None:
                checks.append(check)
                self._page.show_checks(BUS, tuple(checks), running=True)
        except EXPECTED as error:
            checks.append(Check("address", "Address", "failed", str(error), "Correct it."))
        finally:
            if steps is not None:
                pool.submit(steps.close)
            pool.shutdown(wait=False)
            self._page.show_checks(BUS, tuple(checks), running=False)

    def _subject(self, draft: MachineSettings, workspace: Workspace | None) -> tuple[BusAddress, BusOptions, Places]:
        """What is tested: the address with its password, the options, the names on the bus. Blocking."""
        options = workspace_options(self._data, "unused", draft, {})
        lab = read_lab(options.lab) if options.lab else None
        url = options.bus_url(lab)
        if not url:
            raise SettingsError("No address is given: name a broker, or choose a folder.")
        address = parse_bus_address(url)
        if address.kind == "amqp" and not address.password:
            password = self._typed.get(BUS) or bus_password(self._secrets, address)
            address = replace(address, password=password)
        names = lab or options
        queue = workspace.bus.queue if workspace is not None and workspace.options.secrets is not None else ""
        return (
            address,
            options.bus_options,
            Places(
                records=address.exchange or names.records_exchange,
                status=names.status_exchange,
                packets=names.packets_exchange,
                queue=queue or "tally.",
                packets_queue=names.packets_queue,
                management=draft["bus.management"],
            ),
        )

    async def _test_database(self) -> None:
        name = default_database(self._data, self.draft)
        self._page.show_checks(DATABASE, (), running=True)
        check: Check | None = None
        try:
            address = await asyncio.to_thread(self._database_address, name)
            check = await asyncio.to_thread(check_database, address)
        except EXPECTED as error:
            check = Check("database", "Database", "failed", str(error), "Correct the address.")
        finally:
            self._page.show_checks(DATABASE, (check,) if check else (), running=False)

    def _database_address(self, name: str) -> str:
        if DATABASE in self._typed:
            typed = _OneSecret(database_account(name), self._typed[DATABASE])
            return database_address(typed, name)
        return database_address(self._secrets, name)

    # ---- the hub, the lab, the open workspace

    def attach(self, workspace: Workspace) -> None:
        """Show this workspace."""
        self._opened_with = self.kept if workspace.options.secrets is not None else None
        self._keys_read = float("-inf")
        self._show_hub()

    def detach(self) -> None:
        """Show that no workspace is open."""
        self._opened_with = None
        self._show_hub()
        self._page.show_keys(None, "")

    def look(self, *, force: bool = False) -> None:
        """The window's beat: while the page is shown, the hub, a lab that came, the keys that others made."""
        if self._desk.current_page() != "settings":
            return
        self._show_hub()
        now = self._clock()
        if force or not 0 <= now - self._keys_read < KEYS_SECONDS:
            self._keys_read = now
            self._desk.background(self._read_keys(), "read keys")
            self._desk.background(self._look_for_lab(), "look for a lab")

    def _show_hub(self) -> None:
        workspace = self._desk.workspace
        own = bool(self.kept["hub.certificate"])
        if workspace is None:
            self._page.show_hub(HubFacts(pin=self._pin, own_certificate=own))
        else:
            hub = workspace.hub
            agents = sum(agent.live for agent in hub.roster.agents)
            self._page.show_hub(HubFacts(hub.address, agents, hub.pin, own, self._hub_changed()))
        self._page.show_sign_in(self._sign_in_facts(workspace))
        shown = workspace.store.database.shown if workspace is not None else ""
        self._page.show_open_database(shown, default_database(self._data, MachineSettings({})))

    def _sign_in_facts(self, workspace: Workspace | None) -> SignInFacts:
        if workspace is None:
            return SignInFacts()
        if workspace.sign_in is None:
            return SignInFacts(words="a demonstration lets nobody sign in")
        origin = workspace.hub.page
        back = f"{origin}/signin/back"
        wrong = next((one.text for one in workspace.problems.all() if one.where == WHERE), "")
        if wrong:
            return SignInFacts("bad", wrong, "bad", origin, back)
        try:
            title = workspace.hub.people.needed().options.title
        except NoSignInError as error:
            return SignInFacts("ring", str(error), "mute", "", back)
        count = workspace.hub.people.signed_in
        people = f"{count:,} sign-in{'' if count == 1 else 's'} now"
        return SignInFacts("ok", f"by {title}, {people}", "ok", f"{origin}/", back)

    def _hub_changed(self) -> bool:
        before = self._opened_with
        names = ("hub.host", "hub.port", "hub.public", "hub.certificate", "hub.key")
        return before is not None and any(before[name] != self.kept[name] for name in names)

    def _pin_on_disk(self) -> str:
        certificate = self.kept.path("hub.certificate") or self._data / "hub" / CERTIFICATE
        try:
            return given_identity(certificate, certificate).pin  # of the certificate alone
        except CertificateError:
            return ""  # it is made when the hub first starts; a wrong one is said at its field

    async def _look_for_lab(self) -> None:
        named = self.draft.path("bus.lab")
        state = await asyncio.to_thread(running_lab, named)
        if state is None and named is not None:
            state = await asyncio.to_thread(running_lab, None)
        if state is None:
            self._page.show_lab("", "")
            return
        servers = f"{len(state.servers):,} server{'' if len(state.servers) == 1 else 's'}"
        self._page.show_lab(f"A lab with {servers} runs here", state.directory)

    def use_lab(self, directory: str) -> None:
        """Take records from this lab."""
        self.draft = self.draft.with_values({"bus.kind": LAB, "bus.lab": directory})
        self._show()
        self.apply()

    # ---- keys and invitations

    async def _read_keys(self) -> None:
        workspace = self._desk.workspace
        if workspace is None:
            self._page.show_keys(None, "")
            return
        store = workspace.store
        try:
            known, issued = await workspace.blocking(lambda: (store.keys(), store.invitations()))
        except EXPECTED as error:
            self._page.show_keys((), str(error))
            return
        if self._desk.workspace is workspace:
            self._page.show_keys(key_rows(known, issued, self._clock()), "")

    def revoke(self, rows: Sequence[KeyRow]) -> None:
        """Revoke these keys and invitations; a running hub ends their sessions within two seconds."""
        self._desk.background(self._revoke(rows), "revoke")

    async def _revoke(self, rows: Sequence[KeyRow]) -> None:
        if not await self._change_keys(lambda store: self._revoke_all(store, rows)):
            return
        names = rows[0].named if len(rows) == 1 else f"{len(rows)} keys and invitations"
        self._page.show_outcome(f"Revoked: {names}.", "ok")

    def _revoke_all(self, store: Store, rows: Sequence[KeyRow]) -> None:
        for row in rows:
            if row.kind == "invitation":
                keys.revoke_invitation(store, row.id, self._clock())
            else:
                keys.revoke_key(store, row.id, self._clock())

    def create_key(self, name: str, scopes: Sequence[str], who: str) -> None:
        """Create a key; its secret is shown once."""
        self._desk.background(self._create_key(name, scopes, who), "create a key")

    async def _create_key(self, name: str, scopes: Sequence[str], who: str) -> None:
        made: list[Key] = []

        def make(store: Store) -> None:
            made.append(keys.create_key(store, scopes, self._clock(), kid=name or None, sub=who or None))

        if await self._change_keys(make):
            self._page.show_new_key(made[0])

    def rotate_shared_key(self, grace: float) -> None:
        """Replace the shared key; the old one lets agents in for `grace` seconds more."""
        self._desk.background(self._rotate(grace), "rotate the shared key")

    async def _rotate(self, grace: float) -> None:
        made: list[Key] = []
        if await self._change_keys(lambda store: made.append(keys.rotate_shared_key(store, self._clock(), grace))):
            self._page.show_new_key(made[0])

    async def _change_keys(self, change: Callable[[Store], object]) -> bool:
        workspace = self._desk.workspace
        if workspace is None:
            return False
        try:
            await workspace.blocking(change, workspace.store)
        except EXPECTED as error:
            self._page.show_outcome(str(error), "bad")
            return False
        await self._read_keys()
        return True


class _OneSecret(Secrets):
    """A password that was typed and is not kept yet."""

    def __init__(self, account: str, password: str) -> None:
        super().__init__(Path())
        self._account, self._password = account, password

    def read(self, account: str) -> str:
        return self._password if account == self._account else ""
