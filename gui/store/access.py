"""Keys, invitations, spent tokens and agents: what the hub asks of its `HubStore`, except journal and tags."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection, Row

from gui.hub.persistence import AuditEntry, Hold, HoldKind, Issued, Key, Sighting, SignIn, Spend
from gui.store import schema
from gui.store.engine import Database
from gui.store.rows import PERSON, AgentEntry, ServerEntry

_FORGET_SPENT = 60.0
"""A spent token is remembered for this many seconds after it expires: longer than any leeway."""
_AUDITS_KEPT = 5000
"""Entries of the audit log: so many refusals, and so many of everything else."""


_CHANGED = "hub.credentials"
"""The setting that has another value after each change of keys, invitations and holds."""
_HOLD = "hold."
"""How the names of the settings begin that are holds."""
_SIGN_IN = "signin."
"""How those begin that are people's sign-ins."""


def _hold_name(identity: str, what: HoldKind) -> str:
    return f"{_HOLD}{what}.{sha256(identity.encode()).hexdigest()[:32]}"


class AccessPart:
    """The part of `Store` that remembers who may connect. It decides nothing."""

    database: Database

    def credentials_version(self) -> str:
        """Another text after each change of keys, invitations or holds, by whatever program."""
        return self.setting(_CHANGED)

    def keys(self) -> list[Key]:
        """All signing keys, revoked ones included, oldest first."""
        table = schema.signing_key
        with self.database.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.created, table.c.id)).all()
        return [_key(row) for row in rows]

    def put_key(self, key: Key) -> None:
        """Insert, or replace the row of the same `kid`."""
        with self.database.write() as connection:
            _put_key(connection, key)
            _changed(connection)

    def invitations(self) -> list[Issued]:
        """All invitations that were made, oldest first."""
        table = schema.invitation
        with self.database.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.created, table.c.id)).all()
        return [
            Issued(
                row.invitation, row.secret, row.role, row.created, row.expires, row.uses, row.used, bool(row.revoked)
            )
            for row in rows
        ]

    def put_invitation(self, invitation: Issued) -> None:
        """Insert, or replace the row of the same `id`."""
        table = schema.invitation
        values = {
            "secret": invitation.secret,
            "role": invitation.role,
            "created": invitation.created,
            "expires": invitation.expires,
            "uses": invitation.uses,
            "used": invitation.used,
            "revoked": int(invitation.revoked),
        }
        with self.database.write() as connection:
            changed = connection.execute(
                update(table).where(table.c.invitation == invitation.id).values(values)
            ).rowcount
            if not changed:
                connection.execute(insert(table).values(invitation=invitation.id, **values))
            _changed(connection)

    def redeem(self, invitation_id: str, key: Key, now: float) -> bool:
        """In one transaction: count one use and insert `key`. Returns False and changes nothing when the invitation is
        unknown, used up, revoked or expired at `now`."""
        table = schema.invitation
        with self.database.write() as connection:
            used = connection.execute(
                update(table)
                .where(
                    table.c.invitation == invitation_id,
                    table.c.revoked == 0,
                    table.c.used < table.c.uses,
                    table.c.expires > now,
                )
                .values(used=table.c.used + 1)
            ).rowcount
            if used:
                _put_key(connection, key)
                _changed(connection)
        return bool(used)

    def holds(self) -> list[Hold]:
        """What operators have decided about agents, oldest first."""
        table = schema.meta
        with self.database.read() as connection:
            rows = connection.scalars(
                select(table.c.value).where(table.c.name.startswith(_HOLD, autoescape=True))
            ).all()
        return sorted((msgspec.json.decode(row, type=Hold) for row in rows), key=lambda hold: hold.since)

    def put_hold(self, hold: Hold) -> None:
        """Insert, or replace the one of the same agent and kind."""
        with self.database.write() as connection:
            put_setting(connection, _hold_name(hold.identity, hold.what), msgspec.json.encode(hold).decode())
            _changed(connection)

    def lift_hold(self, identity: str, what: HoldKind) -> bool:
        """Remove a hold; False if there was none."""
        table = schema.meta
        with self.database.write() as connection:
            done = connection.execute(delete(table).where(table.c.name == _hold_name(identity, what)))
            _changed(connection)
        return bool(done.rowcount)

    def sign_ins(self) -> list[SignIn]:
        """Who has signed in, those whose key is revoked included, oldest first."""
        table = schema.meta
        with self.database.read() as connection:
            rows = connection.scalars(
                select(table.c.value).where(table.c.name.startswith(_SIGN_IN, autoescape=True))
            ).all()
        return sorted((msgspec.json.decode(row, type=SignIn) for row in rows), key=lambda one: (one.since, one.kid))

    def put_sign_in(self, sign_in: SignIn, key: Key) -> bool:
        """In one transaction: insert or replace both, by their `kid`. A key that is revoked stays so: then nothing is
        changed by one that is not, and the answer is False."""
        table = schema.signing_key
        with self.database.write() as connection:
            state = connection.scalar(select(table.c.state).where(table.c.kid == key.kid))
            if state == "revoked" and key.state != "revoked":
                return False
            put_setting(connection, f"{_SIGN_IN}{sign_in.kid}", msgspec.json.encode(sign_in).decode())
            _put_key(connection, key)
            _changed(connection)
        return True

    def forget_sign_ins(self, kids: Sequence[str]) -> None:
        """In one transaction: remove these sign-ins and their keys."""
        with self.database.write() as connection:
            for part in chunks(sorted(kids), 500):
                names = [f"{_SIGN_IN}{kid}" for kid in part]
                connection.execute(delete(schema.meta).where(schema.meta.c.name.in_(names)))
                connection.execute(delete(schema.signing_key).where(schema.signing_key.c.kid.in_(part)))
            _changed(connection)

    def spend_tokens(self, spends: Sequence[Spend], now: float) -> list[bool]:
        """In one transaction: remember each `jti`; False for each that was remembered before, also within the batch."""
        table = schema.spent_token
        with self.database.write() as connection:
            connection.execute(delete(table).where(table.c.expires < now - _FORGET_SPENT))
            wanted = {spend.jti for spend in spends}
            known: set[str] = set()
            for part in chunks(sorted(wanted), 500):
                known.update(connection.scalars(select(table.c.jti).where(table.c.jti.in_(part))))
            answers: list[bool] = []
            fresh: list[tuple[str, float]] = []
            for spend in spends:
                answers.append(spend.jti not in known)
                if spend.jti not in known:
                    known.add(spend.jti)
                    fresh.append((spend.jti, spend.expires))
            self.database.many(connection, "INSERT INTO spent_token (jti, expires) VALUES (?, ?)", fresh)
        return answers

    def see_agents(self, seen: Sequence[Sighting], now: float) -> None:
        """In one transaction: these agents opened sessions; remember them and what they reported about themselves."""
        rows = [
            (one.identity, one.name, one.role, msgspec.json.encode(dict(one.facts)).decode(), now, now) for one in seen
        ]
        with self.database.write() as connection:
            self.database.many(
                connection,
                "INSERT INTO agent (identity, name, role, facts, first_seen, last_seen) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (identity) DO UPDATE SET "
                "name = excluded.name, role = excluded.role, facts = excluded.facts, last_seen = excluded.last_seen",
                rows,
            )

    def add_audit(self, entries: Sequence[AuditEntry]) -> None:
        """Remember who came and went; of refusals, and of everything else, the newest 5000 are kept."""
        table = schema.audit
        with self.database.write() as connection:
            rows = [(entry.t, entry.what, entry.who, entry.text) for entry in entries]
            self.database.many(connection, "INSERT INTO audit (at, what, who, text) VALUES (?, ?, ?, ?)", rows)
            for kind in (table.c.what == "refused", table.c.what != "refused"):
                kept = select(table.c.id).where(kind).order_by(table.c.id.desc()).limit(1).offset(_AUDITS_KEPT - 1)
                connection.execute(delete(table).where(kind, table.c.id < kept.scalar_subquery()))

    def audits(self, limit: int | None = None, who: str = "") -> list[AuditEntry]:
        """What is remembered of who came and went, oldest first: all, or the newest `limit`; of all, or only `who`."""
        table = schema.audit
        wanted = select(table).where(table.c.who == who) if who else select(table)
        with self.database.read() as connection:
            rows = connection.execute(wanted.order_by(table.c.id.desc()).limit(limit)).all()
        entries = [AuditEntry(row.at, row.what, row.who, row.text) for row in reversed(rows)]
        return sorted(entries, key=lambda entry: entry.t)  # a hub writes them some seconds late

    def agents(self) -> list[AgentEntry]:
        """All agents that ever connected, by name."""
        table = schema.agent
        with self.database.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.name, table.c.id)).all()
        return [
            AgentEntry(r.identity, r.name, r.role, r.first_seen, r.last_seen, msgspec.json.decode(r.facts), r.id)
            for r in rows
        ]

    def put_servers(self, servers: Sequence[ServerEntry]) -> dict[str, int]:
        """Insert or update servers of the directory by URL; returns the id of each URL."""
        with self.database.write() as connection:
            return put_servers(connection, servers)

    def unlist_servers(self, urls: Sequence[str]) -> None:
        """Take servers off the list of a person; what was measured with them stays."""
        table = schema.server
        with self.database.write() as connection:
            for part in chunks(urls, 500):
                listed = (table.c.url.in_(part)) & (table.c.source == PERSON)
                connection.execute(update(table).where(listed).values(source=""))

    def servers(self) -> list[ServerEntry]:
        """The server directory, in the order in which they were first seen."""
        table = schema.server
        with self.database.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.id)).all()
        return [ServerEntry(r.url, r.name, tuple(msgspec.json.decode(r.labels)), r.source, r.id) for r in rows]

    def setting(self, name: str, default: str = "") -> str:
        """A remembered value of this workspace, such as its name."""
        table = schema.meta
        with self.database.read() as connection:
            value = connection.scalar(select(table.c.value).where(table.c.name == name))
        return default if value is None else value

    def put_setting(self, name: str, value: str) -> None:
        """Remember a value of this workspace."""
        with self.database.write() as connection:
            put_setting(connection, name, value)


def put_setting(connection: Connection, name: str, value: str) -> None:
    table = schema.meta
    if not connection.execute(update(table).where(table.c.name == name).values(value=value)).rowcount:
        connection.execute(insert(table).values(name=name, value=value))


def _changed(connection: Connection) -> None:
    put_setting(connection, _CHANGED, secrets.token_hex(8))


def put_servers(connection: Connection, servers: Sequence[ServerEntry], *, keep_known: bool = False) -> dict[str, int]:
    """Insert or update servers by URL within a transaction. An empty name or source leaves a stored one as it is;
    `keep_known` leaves all of it as it is."""
    table = schema.server
    ids: dict[str, int] = {}
    for server in servers:
        row = connection.execute(select(table).where(table.c.url == server.url)).fetchone()
        labels = msgspec.json.encode(list(server.labels)).decode()
        if row is None:
            result = connection.execute(
                insert(table).values(
                    url=server.url, name=server.name or server.url, labels=labels, source=server.source
                )
            )
            assert result.inserted_primary_key is not None
            ids[server.url] = int(result.inserted_primary_key[0])
            continue
        ids[server.url] = row.id
        if keep_known:
            continue
        wanted = {
            "name": server.name or row.name,
            "labels": labels if server.labels else row.labels,
            "source": server.source or row.source,
        }
        if row.source == PERSON and server.source != PERSON:
            continue  # what a person has listed stays as it is
        if any(getattr(row, name) != value for name, value in wanted.items()):
            connection.execute(update(table).where(table.c.id == row.id).values(wanted))
    return ids


def agent_ids(connection: Connection, identities: Sequence[str], now: float) -> dict[str, int]:
    """Row ids of these identities; unknown ones are inserted, and `see_agents` completes them later."""
    table = schema.agent
    ids: dict[str, int] = {}
    for part in chunks(sorted(set(identities)), 500):
        for row in connection.execute(select(table.c.identity, table.c.id).where(table.c.identity.in_(part))):
            ids[row.identity] = row.id
    for identity in dict.fromkeys(identities):
        if identity not in ids:
            result = connection.execute(
                insert(table).values(
                    identity=identity,
                    name=identity.rpartition("/")[2],
                    role="",
                    facts="{}",
                    first_seen=now,
                    last_seen=now,
                )
            )
            assert result.inserted_primary_key is not None
            ids[identity] = int(result.inserted_primary_key[0])
    return ids


def chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """`items` in chunks, since databases limit the parameters of a statement."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def new_uid() -> str:
    """128 random bits in hexadecimal: identifies a run on every machine."""
    return secrets.token_hex(16)


def _key(row: Row[Any]) -> Key:
    scopes = tuple(msgspec.json.decode(row.scopes, type=list[str]))
    return Key(row.kid, row.secret, scopes, row.created, row.sub, bool(row.shared), row.state, row.until)


def _put_key(connection: Connection, key: Key) -> None:
    table = schema.signing_key
    values = {
        "secret": key.secret,
        "scopes": msgspec.json.encode(list(key.scopes)).decode(),
        "created": key.created,
        "sub": key.sub,
        "shared": int(key.shared),
        "state": key.state,
        "until": key.until,
    }
    if not connection.execute(update(table).where(table.c.kid == key.kid).values(values)).rowcount:
        connection.execute(insert(table).values(kid=key.kid, **values))
