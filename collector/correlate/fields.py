"""Facts about servers and sessions as fields of records."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from collector.correlate.incarnation import Access, Incarnation, Session
from collector.records.text import put_text
from collector.wire.maps import Login
from collector.wire.userid import UserId, domain_of, parse_host, split_remote

Names = Callable[[str], str | None] | None


def server_fields(inc: Incarnation, names: Names) -> dict[str, Any]:
    """What is known about a server, from its ``=`` and its address."""
    sender, port = split_remote(inc.remote)
    fields: dict[str, Any] = {"stod": inc.stod, "serverID": f"{inc.stod}#{sender}#{port}"}
    if inc.sid:
        fields["server_id"] = str(inc.sid)
    if parse_host(sender).version is None:
        name = inc.host or sender  # a shoveler's IP map has replaced the address by a name
    else:
        name = inc.host or (names(sender) if names else None) or ""
        put_text(fields, "server_ip", sender)
    put_text(fields, "server", name or sender)
    put_text(fields, "server_hostname", name)
    if inc.ident is not None:
        if inc.ident.port is not None:
            fields["port"] = inc.ident.port
        put_text(fields, "instance", inc.ident.instance)
        put_text(fields, "site", inc.ident.site)
        put_text(fields, "version", inc.ident.version)
    put_text(fields, "shoveler", inc.shoveler)
    return fields


def user_fields(userid: UserId, login: Login | None, names: Names) -> dict[str, Any]:
    """The content of a user id: user, protocol, host. The `login` of its session, if known, has some of it more
    exactly."""
    fields: dict[str, Any] = {}
    if userid.user != "unknown":
        put_text(fields, "user", userid.user)
        put_text(fields, "session_tag", userid.user)
    put_text(fields, "protocol", userid.protocol)
    host = parse_host(userid.host)
    put_text(fields, "host", host.text)
    name = parse_host(names(host.text) or "") if names and host.version else host
    domain = domain_of(name)
    if domain is None and login is not None and login.host:
        domain = domain_of(parse_host(login.host))  # the same host, as the security layer knows it
    put_text(fields, "user_domain", domain)
    version = login.ip if login is not None and login.ip in ("4", "6") else str(host.version or "")
    if version:
        fields["ipv6"] = version == "6"
    return fields


def session_fields(
    session: Session, names: Names, inc: Incarnation | None = None, access: Access | None = None
) -> dict[str, Any]:
    """Everything known about a session: as it was when a file was opened; without a file, as it is now."""
    login = session.login
    if inc is None or access is None:
        token, flow, info = session.tokens.last(), session.flows.last(), session.infos.last()
    else:
        file_id, reported = access.file_id, access.reported
        token = inc.told_at(session.tokens, session, file_id, reported)
        flow = inc.flow_at(session, file_id, reported)
        info = inc.told_at(session.infos, session, file_id, reported)
    fields = user_fields(session.userid, login, names)
    put_text(fields, "user_dn", (login.info or login.name or "").partition("::")[0])
    put_text(fields, "vo", distinct(login.vo, str.casefold))
    put_text(fields, "role", distinct(login.role))
    put_text(fields, "groups", distinct(login.groups))
    if token is not None:
        put_text(fields, "token_subject", token.subject)
        put_text(fields, "token_username", token.username)
        put_text(fields, "token_org", token.org)
        put_text(fields, "token_role", token.role)
        put_text(fields, "token_groups", token.groups)
    if flow is not None:
        put_text(fields, "experiment", flow.experiment)
        put_text(fields, "activity", flow.activity)
    put_text(fields, "appinfo", info)
    return fields


def distinct(text: str | None, sense: Callable[[str], str] = str) -> str | None:
    """Blank-separated words, each once (``cms cms`` is ``cms``), without the placeholder word. Words of the same
    `sense` are merged, with the spelling of the first.
    """
    words: dict[str, str] = {}
    for word in (text or "").split():
        if word.upper() != "NULL":
            words.setdefault(sense(word), word)
    return " ".join(words.values()) or None


def vo_of(fields: dict[str, Any]) -> str | None:
    """The VO by which a record is routed and filtered: the first of the login's, else the token's."""
    vo: str = fields.get("vo") or fields.get("token_org") or ""
    return vo.split(" ", 1)[0] or None


_CACHE_USER = re.compile(r"u\d{1,6}")


def is_cache(userid: UserId, executable: str | None) -> bool:
    """Whether a session is a cache's own connection to its origin: user ``u<descriptor>``, made by an XRootD server."""
    return bool(_CACHE_USER.fullmatch(userid.user)) and (executable or "xrootd").startswith("xrootd")
