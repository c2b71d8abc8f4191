"""The options of a workspace on this machine: from its settings, its passwords and the environment.

`TALLY_BUS` in the environment comes before the bus of the settings. Passwords are not in the options: the workspace
asks for them when it connects (`bus_password`, `database_address`), in a thread, since a keyring may take its time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import URL

from gui.hub import HubOptions
from gui.hub.signin.provider import SignInOptions
from gui.runner.options import WorkspaceOptions
from gui.runner.secrets import Secrets
from gui.runner.settings import FILE, MachineSettings, SettingsError, read_settings
from gui.store import StoreError, parse_database
from shoveler.bus import BusAddress, BusOptions
from shoveler.values.addresses import host_port
from shoveler.values.quantities import parse_duration

LOCAL_CLIENTS = 2
"""Client agents that are started on this machine beside a lab, unless a number is given."""


def workspace_options(
    data: Path,
    database: str = "",
    settings: MachineSettings | None = None,
    environ: Mapping[str, str] = os.environ,
) -> WorkspaceOptions:
    """A workspace with the settings of this machine; `settings` None: those in the data directory, or the defaults if
    they cannot be read. `database`: the name of another one."""
    if settings is None:
        settings = settings_or_defaults(data)
    given = environ.get("TALLY_BUS", "")
    return WorkspaceOptions(
        database=database or default_database(data, settings),
        hub=HubOptions(
            directory=data / "hub",
            host=settings["hub.host"],
            port=settings.number("hub.port"),
            certificate=settings.path("hub.certificate"),
            key=settings.path("hub.key"),
            public=settings["hub.public"],
            max_waiting=settings.number("hub.max_waiting"),
            max_waiting_each=settings.number("hub.max_waiting_each"),
        ),
        metrics=settings["hub.metrics"],
        bus=given or settings.bus(),
        bus_options=BusOptions(ca_file=settings.path("bus.ca_file"), token_file=settings.path("bus.token_file")),
        lab=None if given else settings.lab(),
        lab_must_be_up=False,
        records_exchange=settings["bus.records_exchange"],
        status_exchange=settings["bus.status_exchange"],
        packets_exchange=settings["bus.packets_exchange"],
        packets_queue=settings["bus.packets_queue"],
        secrets=Secrets(data),
        settings_file=data / FILE,
        queue_expires=float(settings.value("bus.queue_expires")),
        queue_max=int(settings.value("bus.queue_max")),
    )


def sign_in_options(
    settings: MachineSettings, secrets: Secrets, environ: Mapping[str, str] = os.environ
) -> SignInOptions | None:
    """Whom a hub of this machine lets in by sign-in; None where no provider is named. Raises SettingsError for settings
    that cannot be used, and SecretsError. Blocking."""
    if not settings["signin.provider"]:
        return None
    wrong = {name: text for name, text in settings.mistakes().items() if name.startswith("signin.")}
    if wrong:
        raise SettingsError("; ".join(f"{name}: {text.rstrip('.')}" for name, text in wrong.items()) + ".")
    return SignInOptions(
        provider=settings["signin.provider"],
        client_id=settings["signin.client_id"],
        client_secret=_client_secret(settings, secrets, environ),
        operators=settings.names("signin.operators"),
        observers=settings.names("signin.observers"),
        scopes=settings["signin.scopes"],
        lasts=parse_duration(settings["signin.lasts"]),
        github=settings["signin.github"],
        ca_file=settings.path("signin.ca_file"),
    )


def _client_secret(settings: MachineSettings, secrets: Secrets, environ: Mapping[str, str]) -> str:
    """The secret of the hub as a client of the provider; empty for a client that has none."""
    given = environ.get("TALLY_SIGNIN_SECRET", "").strip()
    file = settings.path("signin.secret_file")
    if given or file is None:
        return given or secrets.read(sign_in_account(settings))
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no text"
        raise SettingsError(f"signin.secret_file: {file} cannot be read: {reason}.") from error


def sign_in_account(settings: MachineSettings) -> str:
    """The account of the secret that the provider gave for this hub."""
    return f"signin {settings['signin.client_id']}@{settings['signin.provider']}"


def settings_or_defaults(data: Path) -> MachineSettings:
    """The settings in the data directory; the defaults when they cannot be read, which the page Settings then says."""
    try:
        return read_settings(data / FILE)[0]
    except SettingsError:
        return MachineSettings({})


def default_database(data: Path, settings: MachineSettings) -> str:
    """The database that is opened when none is named."""
    return settings["database.address"] or str(data / "default.db")


def bus_account(address: BusAddress) -> str:
    """The account of a broker's password."""
    return f"bus {address.user}@{host_port(address.host, address.port)}/{address.vhost.lstrip('/')}"


def bus_password(secrets: Secrets, address: BusAddress) -> str:
    """The password for a broker: the one kept, or `guest` for the user of that name. Raises SecretsError. Blocking."""
    return secrets.read(bus_account(address)) or ("guest" if address.user == "guest" else "")


def database_account(name: str) -> str:
    """The account of a database's password; empty for a file. Raises StoreError."""
    url = parse_database(name)
    if url.get_backend_name() == "sqlite":
        return ""
    return f"database {url.username or ''}@{host_port(url.host or 'localhost', url.port or 5432)}/{url.database or ''}"


def split_password(name: str) -> tuple[str, str]:
    """A database's address without its password, and that; an address that cannot be read stays as it is."""
    try:
        url = parse_database(name)
    except StoreError:
        return name, ""
    if not url.password:
        return name, ""
    bare = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    return bare.render_as_string(False), str(url.password)


def database_address(secrets: Secrets, name: str) -> str:
    """The address of a database with the password kept for it, if there is one. Raises StoreError and SecretsError.
    Blocking."""
    account = database_account(name)
    url = parse_database(name)
    if not account or url.password:
        return name
    password = secrets.read(account)
    return url.set(drivername="postgresql", password=password).render_as_string(False) if password else name
