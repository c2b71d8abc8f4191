"""What clients identify themselves with and whom they trust: read for each job when it begins, and again when a file
has changed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.messages import Auth, LabState
from gui.campaign.plan import Means
from gui.campaign.selection import Server
from gui.runner.lab import lab_servers
from gui.runner.refusal import RunRefusedError
from shoveler.values.quantities import about_duration

MOST_TOKEN: Final = 16 * 1024
MOST_CERTIFICATE: Final = 1024 * 1024
MOST_KEY: Final = 64 * 1024
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_ENVIRONMENT: Final = "env:"


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a token says of itself, without any check: that is the server's business. Nothing of it is secret."""

    subject: str = ""
    audience: str = ""
    scope: str = ""
    ends: float | None = None
    """Unix seconds; None when it does not say."""

    def remaining(self, now: float) -> float | None:
        """Seconds until it ends; negative when it has."""
        return None if self.ends is None else self.ends - now


class Credentials:
    """Reads them where the run is carried out; they reach clients only through the hub's sessions."""

    def __init__(self, lab: LabState | None, directory: Path | None = None) -> None:
        """`directory` is that of the plan, for names of files that are relative."""
        self._lab = lab
        self._directory = directory or Path()
        self._seen: dict[Means, tuple[object, ...]] = {}
        """What the files looked like when they were read last."""

    async def read(self, servers: Iterable[Server], means: Means) -> Auth:
        """What is needed at these servers, as it is now. Raises RunRefusedError."""
        ca = await self._authority(servers)
        if not means:
            return Auth(ca=ca)
        token, cert, key = await asyncio.to_thread(self._secrets, means)
        return Auth(ca=ca, token=token, cert=cert, key=key)

    async def changed(self, means: Means) -> bool:
        """Whether a file has changed since it was read last."""
        if not means:
            return False
        return await asyncio.to_thread(self._look, means) != self._seen.get(means)

    def _look(self, means: Means) -> tuple[object, ...]:
        return tuple(_state(self._directory / name) for name in (means.token_file, means.cert, means.key) if name)

    def _secrets(self, means: Means) -> tuple[str, str, str]:
        """Token, certificate and key. Raises RunRefusedError."""
        self._seen[means] = self._look(means)
        token = ""
        if means.token_file is not None:
            token = _checked(self._text(means.token_file, "token", MOST_TOKEN), f"The file {means.token_file}")
        elif means.token is not None:
            name = means.token.removeprefix(_ENVIRONMENT)
            token = _checked(os.environ.get(name, ""), f"The variable {name} of the environment")
        cert = "" if means.cert is None else self._pem(means.cert, "certificate", MOST_CERTIFICATE)
        key = "" if means.key is None else self._pem(means.key, "key", MOST_KEY)
        if cert and "PRIVATE KEY-----" not in cert + key:
            raise RunRefusedError(f"{means.key or means.cert} has no private key (PEM); name it as key in [test.auth].")
        return token, cert, key

    def _pem(self, name: str, what: str, most: int) -> str:
        text = self._text(name, what, most)
        if f"-----BEGIN {'CERTIFICATE' if what == 'certificate' else ''}" not in text:
            raise RunRefusedError(f"{name} has no {what} in PEM form.")
        return text

    def _text(self, name: str, what: str, most: int) -> str:
        path = self._directory / name
        try:
            with path.open("rb") as file:
                data = file.read(most + 1)
        except OSError as error:
            raise RunRefusedError(f"The {what} {path} cannot be read: {error.strerror}.") from error
        try:
            if len(data) > most:
                raise ValueError
            return data.decode()
        except ValueError:
            raise RunRefusedError(f"{path} is no {what}: it is too large, or no text.") from None

    async def _authority(self, servers: Iterable[Server]) -> str:
        """That of the lab, for its servers: nobody else has signed their certificates."""
        lab = self._lab
        if lab is None or not lab.ca or not {one.url for one in servers} & {one.url for one in lab_servers(lab)}:
            return ""
        try:
            return await asyncio.to_thread(Path(lab.ca).read_text)
        except OSError as error:
            raise RunRefusedError(
                f"The certificate of the lab's authority, {lab.ca}, cannot be read: {error.strerror}."
            ) from error


def token_facts(token: str) -> TokenFacts:
    """What a token says of itself. Pure."""
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, IndexError, ValueError, RecursionError):
        return TokenFacts()
    if not isinstance(found, dict):
        return TokenFacts()
    ends, audience = found.get("exp"), found.get("aud")
    return TokenFacts(
        _word(found.get("sub")),
        ", ".join(map(_word, audience)) if isinstance(audience, list) else _word(audience),
        _word(found.get("scope")),
        float(ends) if isinstance(ends, int | float) and not isinstance(ends, bool) else None,
    )


def ended(facts: TokenFacts, now: float) -> str:
    """That a token has ended, as a sentence; empty if it has not, or does not say."""
    left = facts.remaining(now)
    if left is None or left > 0:
        return ""
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now + left))
    return f"The token ended at {at}, {about_duration(-left)} ago."


def _word(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""


def _checked(text: str, where: str) -> str:
    """The token in a text. Raises RunRefusedError, without what the text is: it may be another secret."""
    token = text.strip()
    if not token:
        raise RunRefusedError(f"{where} has no token.")
    if len(token) > MOST_TOKEN or not _TOKEN.fullmatch(token):
        raise RunRefusedError(f"{where} has no bearer token (a JWT: three parts with dots between them, nothing else).")
    return token


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
