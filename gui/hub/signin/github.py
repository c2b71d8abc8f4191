"""GitHub as an identity provider, github.com or an Enterprise server. Its tokens are OAuth only: who somebody is, and
their teams, are asked of its API. Endpoints: docs.github.com, "Authorizing OAuth apps"; teams need the scope read:org.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from gui.hub.persistence import Person
from gui.hub.signin.fetch import Answer, Http, ProviderAwayError, ProviderError, RefusedError
from gui.hub.signin.provider import (
    GITHUB_ADDRESS,
    MAX_GROUPS,
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

NAME = "GitHub"
PAGE = 100
_API = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class GitHub:
    """A `Provider`."""

    def __init__(self, options: SignInOptions, http: Http, clock: Callable[[], float] = time.time) -> None:
        self._http = http
        self._clock = clock
        self._client = options.client_id
        self._secret = options.client_secret
        self._web = options.github.rstrip("/")
        self._api = "https://api.github.com" if self._web == GITHUB_ADDRESS else f"{self._web}/api/v3"
        self._teams = options.allow_list().needs_teams
        self._scope = "read:org" if self._teams else ""

    def authorize_address(self, errand: Errand) -> str:
        if not self._secret:
            raise ProviderError(
                "GitHub signs people in on a page only for a client with its secret, which this hub was not given."
            )
        query = {
            "client_id": self._client,
            "redirect_uri": errand.back,
            "scope": self._scope,
            "state": errand.state,
            "code_challenge": errand.challenge,
            "code_challenge_method": "S256",
            "allow_signup": "false",
        }
        return f"{self._web}/login/oauth/authorize?{urlencode(query)}"

    def redeem(self, query: Mapping[str, str], errand: Errand) -> Confirmed:
        form = {
            "client_id": self._client,
            "client_secret": self._secret,
            "code": query.get("code", ""),
            "redirect_uri": errand.back,
            "code_verifier": errand.verifier,
        }
        return self._confirmed(tokens_of(self._token(form), self._clock()))

    def start_device(self) -> DeviceCode:
        form = {"client_id": self._client, "scope": self._scope}
        answer = self._http.post(f"{self._web}/login/device/code", form)
        if answer.status != 200 or "error" in answer.fields:
            raise self._failure(answer)
        return device_of(answer.fields, NAME)

    def poll_device(self, code: DeviceCode, interval: float) -> Confirmed | NotYet:
        form = {
            "client_id": self._client,
            "device_code": code.device,
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        }
        answer = self._http.post(f"{self._web}/login/oauth/access_token", form)
        waiting = not_yet(answer.fields, interval)
        if waiting is not None:
            return waiting
        if answer.status != 200 or "error" in answer.fields:
            raise self._failure(answer)
        return self._confirmed(tokens_of(answer.fields, self._clock()))

    def confirm(self, tokens: Tokens) -> Confirmed:
        if tokens.expires is not None and tokens.expires < self._clock() + 60 and tokens.refresh:
            form = {
                "client_id": self._client,
                "client_secret": self._secret,
                "grant_type": "refresh_token",
                "refresh_token": tokens.refresh,
            }
            tokens = tokens_of(self._token(form), self._clock(), tokens)
        return self._confirmed(tokens)

    def forget(self, tokens: Tokens) -> None:
        if not self._secret:
            return  # only who has the client's secret may end a token there
        pair = base64.b64encode(f"{self._client}:{self._secret}".encode()).decode()
        address = f"{self._api}/applications/{quote(self._client, safe='')}/token"
        answer = self._http.delete(
            address, {"access_token": tokens.access}, headers={**_API, "Authorization": f"Basic {pair}"}
        )
        if answer.status not in (204, 404, 422):  # 404, 422: it is not good any more
            raise ProviderAwayError(f"GitHub did not end a token: it answered {answer.status}.")

    # ---- steps

    def _token(self, form: Mapping[str, str]) -> Mapping[str, object]:
        answer = self._http.post(f"{self._web}/login/oauth/access_token", form)
        if answer.status != 200 or "error" in answer.fields:  # GitHub answers 200 to a wrong code
            raise self._failure(answer)
        return answer.fields

    def _confirmed(self, tokens: Tokens) -> Confirmed:
        user = self._ask("/user", tokens).fields
        number, login = user.get("id"), text_of(user, "login")
        if isinstance(number, bool) or not isinstance(number, int) or not login:
            raise ProviderAwayError("GitHub does not say who signed in.")
        return Confirmed(Person(self._web, str(number), login, "", self._teams_of(tokens)), tokens)

    def _teams_of(self, tokens: Tokens) -> tuple[str, ...]:
        found: list[str] = []
        page = 1
        while self._teams and len(found) < MAX_GROUPS:
            teams = self._ask(f"/user/teams?per_page={PAGE}&page={page}", tokens).value
            if not isinstance(teams, list):
                raise ProviderAwayError("GitHub does not say which teams somebody is in.")
            found += [f"{_login(team)}/{text_of(team, 'slug')}" for team in teams if isinstance(team, dict)]
            if len(teams) < PAGE:
                break
            page += 1
        return tuple(sorted(found))

    def _ask(self, path: str, tokens: Tokens) -> Answer:
        answer = self._http.get(f"{self._api}{path}", bearer=tokens.access, headers=_API)
        if answer.status == 401:
            raise RefusedError("GitHub does not accept the token of this sign-in any more.")
        if answer.status != 200:
            raise ProviderAwayError(f"GitHub answered {answer.status} when asked who somebody is.")
        return answer

    def _failure(self, answer: Answer) -> ProviderError:
        if answer.status >= 500 or answer.status == 429 or not answer.fields:
            return ProviderAwayError(f"GitHub answered {answer.status} to a sign-in; try again later.")
        return RefusedError(refusal(answer.fields, NAME))


def _login(team: Mapping[str, object]) -> str:
    organization = team.get("organization")
    return text_of(organization, "login") if isinstance(organization, dict) else ""
