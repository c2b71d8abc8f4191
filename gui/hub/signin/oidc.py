"""Any OpenID Connect issuer as an identity provider: CILogon, EGI Check-in, IAM, Keycloak …

Its addresses and keys are found by discovery (OpenID Connect Discovery 1.0) and kept for an hour. PyJWT checks the
signature of an ID token; the claims are checked here, as OpenID Connect Core 1.0 section 3.1.3.7 says. A nonce and PKCE
bind a code to the browser that began; the ``iss`` of an answer (RFC 9207) to the issuer.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import jwt

from gui.hub.persistence import Person
from gui.hub.signin.fetch import Answer, Http, ProviderAwayError, ProviderError, RefusedError, check_address
from gui.hub.signin.provider import (
    MAX_GROUPS,
    MAX_TEXT,
    Confirmed,
    DeviceCode,
    Errand,
    NotYet,
    SignInOptions,
    Tokens,
    device_of,
    not_yet,
    refusal,
    text_of,
    tokens_of,
)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Of signatures with a public key. Never ``none``, and never one that the client's secret could make."""
LEEWAY = 60.0
KEEP_SECONDS = 3600.0
LOOK_AGAIN_SECONDS = 30.0
GROUP_CLAIMS = (
    "groups",
    "wlcg.groups",
    "eduperson_entitlement",
    "eduPersonEntitlement",
    "entitlements",
    "isMemberOf",
    "is_member_of",
)
"""Where issuers name the groups of a person."""
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Oidc:
    """A `Provider`."""

    def __init__(self, options: SignInOptions, http: Http, clock: Callable[[], float] = time.time) -> None:
        self._http = http
        self._clock = clock
        self._issuer = options.provider
        self._title = options.title
        self._client = options.client_id
        self._secret = options.client_secret
        self._scope = " ".join(dict.fromkeys(["openid", *options.scopes.split()]))
        self._lock = threading.Lock()
        self._found: dict[str, Any] = {}
        self._found_at = float("-inf")
        self._keys: list[dict[str, Any]] = []
        self._keys_at = float("-inf")

    # ---- what the hub asks

    def authorize_address(self, errand: Errand) -> str:
        query = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": errand.back,
            "scope": self._scope,
            "state": errand.state,
            "nonce": errand.nonce,
            "code_challenge": errand.challenge,
            "code_challenge_method": "S256",
        }
        if "offline_access" in self._scope.split():
            query["prompt"] = "consent"  # without it no refresh token is given, OpenID Connect Core section 11
        address = self._address("authorization_endpoint")
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    def redeem(self, query: Mapping[str, str], errand: Errand) -> Confirmed:
        issuer = query.get("iss")
        must = self._discovered().get("authorization_response_iss_parameter_supported") is True
        if (issuer is not None or must) and issuer != self._issuer:
            raise RefusedError("The answer to the sign-in names another issuer than this hub trusts.")
        form = {
            "grant_type": "authorization_code",
            "code": query.get("code", ""),
            "redirect_uri": errand.back,
            "code_verifier": errand.verifier,
        }
        return self._confirmed(self._token(form), nonce=errand.nonce)

    def start_device(self) -> DeviceCode:
        if "device_authorization_endpoint" not in self._discovered():
            raise ProviderError(f"{self._title} has no device flow, which tally login needs.")
        answer = self._post("device_authorization_endpoint", {"client_id": self._client, "scope": self._scope})
        if answer.status != 200:
            raise self._failure(answer)
        return device_of(answer.fields, self._title)

    def poll_device(self, code: DeviceCode, interval: float) -> Confirmed | NotYet:
        answer = self._post("token_endpoint", {"grant_type": _DEVICE_GRANT, "device_code": code.device})
        waiting = not_yet(answer.fields, interval)
        if waiting is not None:
            return waiting
        if answer.status != 200:
            raise self._failure(answer)
        return self._confirmed(answer.fields)

    def confirm(self, tokens: Tokens) -> Confirmed:
        if not tokens.refresh:
            raise RefusedError(f"{self._title} gave no token with which a sign-in could be renewed.")
        fields = self._token({"grant_type": "refresh_token", "refresh_token": tokens.refresh})
        return self._confirmed(fields, before=tokens)

    def forget(self, tokens: Tokens) -> None:
        if "revocation_endpoint" not in self._discovered():
            return
        kind = "refresh_token" if tokens.refresh else "access_token"
        form = {"token": tokens.refresh or tokens.access, "token_type_hint": kind}
        answer = self._post("revocation_endpoint", form)
        if answer.status != 200:
            raise ProviderAwayError(f"{self._title} did not end a token: it answered {answer.status}.")

    # ---- tokens

    def _token(self, form: Mapping[str, str]) -> dict[str, Any]:
        answer = self._post("token_endpoint", form)
        if answer.status != 200:
            raise self._failure(answer)
        return answer.fields

    def _post(self, endpoint: str, form: Mapping[str, str]) -> Answer:
        """A request with the client's credentials, in the way that the issuer takes them."""
        if not self._secret:
            return self._http.post(self._address(endpoint), {**form, "client_id": self._client})
        ways = self._discovered().get("token_endpoint_auth_methods_supported")
        if isinstance(ways, list) and "client_secret_basic" not in ways and "client_secret_post" in ways:
            given = {**form, "client_id": self._client, "client_secret": self._secret}
            return self._http.post(self._address(endpoint), given)
        pair = f"{quote(self._client, safe='')}:{quote(self._secret, safe='')}"  # RFC 6749 section 2.3.1
        basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return self._http.post(self._address(endpoint), form, headers={"Authorization": basic})

    def _failure(self, answer: Answer) -> ProviderError:
        if answer.status >= 500 or answer.status == 429 or not answer.fields:
            return ProviderAwayError(f"{self._title} answered {answer.status} to a sign-in; try again later.")
        return RefusedError(refusal(answer.fields, self._title))

    # ---- who somebody is

    def _confirmed(self, fields: Mapping[str, Any], *, nonce: str = "", before: Tokens | None = None) -> Confirmed:
        now = self._clock()
        tokens = tokens_of(fields, now, before)
        told: dict[str, Any] = {}
        if "id_token" in fields:
            told = self._checked(fields["id_token"], nonce, now)
        elif before is None:
            raise RefusedError(f"{self._title} gave no ID token: is the scope openid allowed for this client?")
        if "userinfo_endpoint" in self._discovered():
            told = {**self._user_info(tokens, told.get("sub")), **told}
        return Confirmed(self._person(told), tokens)

    def _checked(self, token: object, nonce: str, now: float) -> dict[str, Any]:
        """The claims of an ID token, all checks passed. Raises RefusedError."""
        if not isinstance(token, str):
            raise RefusedError("The ID token is not a text.")
        try:
            head = jwt.get_unverified_header(token)
            if head.get("alg") not in ALGORITHMS:
                raise RefusedError(f"The ID token is signed with {head.get('alg')!r}, which is not accepted.")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(head.get("kid"), str(head["alg"]), now),
                algorithms=[str(head["alg"])],
                options={
                    "verify_exp": False,  # by the hub's clock, below
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_aud": False,
                    "verify_iss": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.PyJWTError as error:
            raise RefusedError(f"The ID token of {self._title} cannot be verified: {error}.") from error
        self._check_claims(claims, nonce, now)
        return claims

    def _check_claims(self, claims: Mapping[str, Any], nonce: str, now: float) -> None:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        party = claims.get("azp")
        expires, issued = claims.get("exp"), claims.get("iat")
        wrong = ""
        if claims.get("iss") != self._issuer:
            wrong = "is from another issuer"
        elif self._client not in audiences:
            wrong = "is for another client"
        elif (party is not None or len(audiences) > 1) and party != self._client:
            wrong = "was issued to another client"
        elif isinstance(expires, bool) or not isinstance(expires, int | float) or expires + LEEWAY < now:
            wrong = "has expired; is this hub's clock right?"
        elif isinstance(issued, bool) or not isinstance(issued, int | float) or issued - LEEWAY > now:
            wrong = "is from the future; is this hub's clock right?"
        elif nonce and claims.get("nonce") != nonce:
            wrong = "is not the answer to this sign-in"
        elif not text_of(claims, "sub"):
            wrong = "names nobody"
        if wrong:
            raise RefusedError(f"The ID token of {self._title} {wrong}{'' if wrong.endswith('?') else '.'}")

    def _user_info(self, tokens: Tokens, subject: object) -> dict[str, Any]:
        answer = self._http.get(self._address("userinfo_endpoint"), bearer=tokens.access)
        if answer.status in (401, 403):
            raise RefusedError(f"{self._title} does not accept the token of this sign-in any more.")
        if answer.status != 200 or not text_of(answer.fields, "sub"):
            raise ProviderAwayError(f"{self._title} answered {answer.status} when asked who somebody is.")
        if subject is not None and answer.fields["sub"] != subject:  # section 5.3.2
            raise RefusedError(f"{self._title} names two people for one sign-in.")
        return answer.fields

    def _person(self, told: Mapping[str, Any]) -> Person:
        subject = text_of(told, "sub")
        if not subject:
            raise RefusedError(f"{self._title} does not say who signed in.")
        verified = told.get("email_verified") in (True, "true")
        return Person(
            self._issuer,
            subject,
            text_of(told, "preferred_username"),
            text_of(told, "email") if verified else "",
            _groups(told),
        )

    # ---- discovery and keys

    def _address(self, name: str) -> str:
        """An endpoint. Raises ProviderAwayError when the issuer names none that can be used."""
        address = self._discovered().get(name)
        try:
            return check_address(address if isinstance(address, str) else "", name)
        except ValueError:
            raise ProviderAwayError(f"{self._title} names no usable {name}.") from None

    def _discovered(self) -> dict[str, Any]:
        with self._lock:
            now = self._clock()
            if not 0 <= now - self._found_at < KEEP_SECONDS:
                answer = self._http.get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                if answer.status != 200 or answer.fields.get("issuer") != self._issuer:
                    said = answer.fields.get("issuer")
                    what = f"calls itself {said!r}" if isinstance(said, str) else f"answered {answer.status}"
                    raise ProviderAwayError(f"{self._issuer} is not the address of an OIDC issuer: it {what}.")
                self._found, self._found_at = answer.fields, now
            return self._found

    def _key(self, kid: object, algorithm: str, now: float) -> jwt.PyJWK:
        """The issuer's key of this name; read again if it may be a new one. Raises RefusedError."""
        address = self._address("jwks_uri")
        with self._lock:
            known = self._one(kid, algorithm)
            if known is None and not 0 <= now - self._keys_at < LOOK_AGAIN_SECONDS:
                self._keys, self._keys_at = self._read_keys(address), now
                known = self._one(kid, algorithm)
        if known is None:
            raise RefusedError(f"The ID token is signed with a key that {self._title} does not publish.")
        return known

    def _one(self, kid: object, algorithm: str) -> jwt.PyJWK | None:
        """The key of this name, or, for a token that names none, the only one of its kind."""
        fitting = []
        for key in self._keys:
            if (kid is None or key.get("kid") == kid) and key.get("alg", algorithm) == algorithm:
                try:
                    fitting.append(jwt.PyJWK(key, algorithm=algorithm))
                except jwt.PyJWTError:
                    continue  # of another kind
        return fitting[0] if len(fitting) == 1 else None

    def _read_keys(self, address: str) -> list[dict[str, Any]]:
        listed = self._http.get(address).fields.get("keys")
        if not isinstance(listed, list):
            raise ProviderAwayError(f"{self._title} publishes no keys.")
        return [
            key
            for key in listed
            if isinstance(key, dict) and key.get("kty") != "oct" and key.get("use", "sig") == "sig"
        ]


def _groups(told: Mapping[str, Any]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for claim in GROUP_CLAIMS:
        value = told.get(claim)
        for group in value if isinstance(value, list) else [value]:
            if isinstance(group, str) and 0 < len(group) <= MAX_TEXT:
                found[group] = None
    return tuple(sorted(found)[:MAX_GROUPS])
