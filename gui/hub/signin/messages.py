"""What a program and the hub say on ``/signin``.

program → hub   SignIn, or, with a token signed by its personal key, SignOut
hub → program   EnterCode, then PersonalKey; SignedOut; agent.messages.Goodbye with the reason when it is refused
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from agent.messages import Goodbye, Message, Short, Time

Address = Annotated[str, Meta(max_length=2048)]
Secret = Annotated[str, Meta(max_length=512)]


class SignIn(Message, frozen=True, tag="sign_in"):
    """A person at this program wants to sign in by device flow."""

    host: Short
    version: Short


class SignOut(Message, frozen=True, tag="sign_out"):
    """The sign-in of the personal key that signed this connection's token is to end."""


class EnterCode(Message, frozen=True, tag="enter_code"):
    """What the person has to do within so many seconds: open `address` and type `code`, or open `whole`."""

    provider: Short
    code: Short
    address: Address
    whole: Address
    seconds: Annotated[float, Meta(ge=0, le=86400)]


class PersonalKey(Message, frozen=True, tag="personal_key"):
    """They have signed in. `kid`, `secret` and `name` sign tokens of these scopes until `expires`, which moves on while
    the key is used, but not beyond `ends`."""

    kid: Short
    secret: Secret
    name: Short
    scopes: list[str]
    expires: Time
    ends: Time
    login: Address
    provider: Short

    def __repr__(self) -> str:
        return f"PersonalKey({self.kid!r}, name={self.name!r}, scopes={self.scopes!r})"


class SignedOut(Message, frozen=True, tag="signed_out"):
    """The key is worth nothing any more."""


FromPerson = SignIn | SignOut
ToPerson = EnterCode | PersonalKey | SignedOut | Goodbye
decode_from_person: Callable[[str | bytes], FromPerson] = msgspec.json.Decoder(FromPerson).decode
decode_to_person: Callable[[str | bytes], ToPerson] = msgspec.json.Decoder(ToPerson).decode
