"""GitHub, played by a stand-in that answers as its endpoints do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gui.hub.signin.fetch import HttpClient, ProviderAwayError, ProviderError, RefusedError
from gui.hub.signin.github import GitHub
from gui.hub.signin.provider import Confirmed, Errand, NotYet, SignInOptions, Tokens
from tests.standins import GitHubStandIn, User

ERRAND = Errand("state-1", "nonce-1", "verifier-1" * 5, "https://hub.example/signin/back")


def provider(options: SignInOptions) -> GitHub:
    return GitHub(options, HttpClient())


def code_for(github: GitHubStandIn, options: SignInOptions, errand: Errand = ERRAND) -> dict[str, str]:
    """What the browser brings back."""
    query = parse_qs(urlsplit(provider(options).authorize_address(errand)).query)
    _, back = github.authorize({name: values[0] for name, values in query.items()})
    return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}


def test_a_browser(github: GitHubStandIn, trusting: SignInOptions) -> None:
    confirmed = provider(trusting).redeem(code_for(github, trusting), ERRAND)
    person = confirmed.person
    assert (person.issuer, person.subject, person.login) == (github.address, "7", "ada")
    assert person.groups == ("Osg/monitoring",)
    assert provider(trusting).confirm(confirmed.tokens) == confirmed


def test_the_wrong_verifier(github: GitHubStandIn, trusting: SignInOptions) -> None:
    with pytest.raises(RefusedError, match="The code passed is incorrect"):
        provider(trusting).redeem(code_for(github, trusting), replace(ERRAND, verifier="x"))


def test_a_code_is_good_once(github: GitHubStandIn, trusting: SignInOptions) -> None:
    query = code_for(github, trusting)
    provider(trusting).redeem(query, ERRAND)
    with pytest.raises(RefusedError):
        provider(trusting).redeem(query, ERRAND)


def test_the_wrong_secret(github: GitHubStandIn, trusting: SignInOptions) -> None:
    with pytest.raises(RefusedError) as caught:
        provider(replace(trusting, client_secret="wrong")).redeem(code_for(github, trusting), ERRAND)
    assert "wrong" not in str(caught.value)


def test_a_page_needs_the_secret(trusting: SignInOptions) -> None:
    with pytest.raises(ProviderError, match="only for a client with its secret"):
        provider(replace(trusting, client_secret="")).authorize_address(ERRAND)


def test_a_device(github: GitHubStandIn, trusting: SignInOptions) -> None:
    """Without the client's secret: a device flow needs none."""
    one = provider(replace(trusting, client_secret=""))
    code = one.start_device()
    assert (code.code, code.address, code.interval) == ("WDJB-MJHT", f"{github.address}/login/device", 1.0)
    assert one.poll_device(code, 1.0) == NotYet(1.0)
    github.enter("slow")
    assert one.poll_device(code, 1.0) == NotYet(6.0)
    answer = one.poll_device(code, 6.0)
    assert isinstance(answer, Confirmed)
    assert answer.person.login == "ada"
    assert code.device not in repr(code)


@pytest.mark.parametrize(("state", "said"), [("declined", "was declined there"), ("gone", "incorrect_device_code")])
def test_a_device_that_is_refused(github: GitHubStandIn, trusting: SignInOptions, state: str, said: str) -> None:
    code = provider(trusting).start_device()
    github.enter(state)
    with pytest.raises(RefusedError, match=said):
        provider(trusting).poll_device(code, 1.0)


def test_many_teams(github: GitHubStandIn, trusting: SignInOptions) -> None:
    teams = tuple(f"osg/t{number:03d}" for number in range(250))
    github.person = User("ada", 7, teams)
    assert provider(trusting).redeem(code_for(github, trusting), ERRAND).person.groups == teams
    assert github.asked.count("GET /api/v3/user/teams") == 3


def test_teams_are_not_asked_for_where_no_list_names_any(github: GitHubStandIn, trusting: SignInOptions) -> None:
    alone = replace(trusting, operators=())
    assert "scope=&" in provider(alone).authorize_address(ERRAND)
    assert provider(alone).redeem(code_for(github, alone), ERRAND).person.groups == ()
    assert "GET /api/v3/user/teams" not in github.asked


def test_a_token_that_was_ended_there(github: GitHubStandIn, trusting: SignInOptions) -> None:
    tokens = provider(trusting).redeem(code_for(github, trusting), ERRAND).tokens
    provider(trusting).forget(tokens)
    assert github.tokens == {}
    with pytest.raises(RefusedError, match="does not accept the token"):
        provider(trusting).confirm(tokens)
    provider(trusting).forget(tokens)  # what is gone is gone


def test_away_is_not_refused(github: GitHubStandIn, trusting: SignInOptions) -> None:
    tokens = provider(trusting).redeem(code_for(github, trusting), ERRAND).tokens
    github.away = True
    one = provider(trusting)
    for call in (lambda: one.confirm(tokens), one.start_device, lambda: one.forget(tokens)):
        with pytest.raises(ProviderAwayError):
            call()


@pytest.mark.parametrize("user", [{}, {"id": "7", "login": "ada"}, {"id": True, "login": "a"}, {"id": 7}, [], None])
def test_an_answer_without_a_name(trusting: SignInOptions, user: Any) -> None:
    class Broken(GitHubStandIn):
        def user(self, token: str) -> tuple[int, Any]:
            return 200, user

    with Broken().running() as broken, pytest.raises(ProviderAwayError, match="does not say who signed in"):
        provider(replace(trusting, github=broken.address)).confirm(Tokens("x"))
