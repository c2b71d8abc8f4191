"""A browser at the door of a hub, every request word for word."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.exceptions import InvalidStatus

from gui.hub.web.cookies import BEGUN, SESSION
from gui.hub.web.markup import h
from tests.browsers import Browser
from tests.standins import GitHubStandIn, User


async def test_the_whole_way(hub: Any, browser: Browser) -> None:
    hub.hub.board.publish({"run": h("h2", "Run 36")})

    door = await browser.get("/")
    assert door.status == 401
    assert 'href="/signin/start?to=/"' in door.body
    assert "Run 36" not in door.body

    begun = await browser.get("/signin/start?to=/")
    location = begun.header("Location")
    query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert query["redirect_uri"] == f"http://127.0.0.1:{hub.hub.port}/signin/back"
    assert query["code_challenge_method"] == "S256"
    assert query["scope"] == "read:org"

    back = await browser.get(await browser.at_provider(location))
    assert (back.status, back.header("Location")) == (303, "/")
    (session,) = [value for _, value in back.headers if value.startswith(f"{SESSION}=")]
    value = r"p-[0-9a-f]{12}\.[\w-]{43}"
    assert re.fullmatch(rf"{SESSION}={value}; Path=/; Max-Age=604800; Secure; HttpOnly; SameSite=Lax", session)

    page = await browser.get("/")
    assert page.status == 200
    assert "<h2>Run 36</h2>" in page.body
    assert "ada" in page.body
    assert "read-only" in page.body


async def test_what_a_browser_is_held_to(hub: Any, browser: Browser) -> None:
    for target in ("/", "/signin/start", "/signin/back?code=1&state=2", "/signout", "/page/none/status.js"):
        answer = await browser.get(target)
        policy = answer.header("Content-Security-Policy")
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy, target
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.header("X-Frame-Options") == "DENY"
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Referrer-Policy") == "no-referrer"
        assert answer.header("Cache-Control") == "no-store"
    page = await browser.get("/")
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|javascript:", page.body)


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/signout", "javascript:alert(1)", "/../x", ""],
)
async def test_it_comes_back_to_its_own_pages_only(browser: Browser, wanted: str) -> None:
    assert (await browser.sign_in(wanted)).header("Location") == "/"


async def test_it_comes_back_to_where_it_was(browser: Browser) -> None:
    assert (await browser.sign_in("/runs")).header("Location") == "/runs"


async def test_an_answer_is_good_once(hub: Any, browser: Browser) -> None:
    begun = await browser.get("/signin/start")
    kept = dict(browser.cookies)
    back = await browser.at_provider(begun.header("Location"))
    assert (await browser.get(back)).status == 303
    browser.cookies = kept  # even with the cookie that it had then
    again = await browser.get(back)
    assert again.status == 400
    assert "was used before" in again.body
    assert SESSION not in again.cookies
    assert [entry.what for entry in await audit(hub)].count("signed in") == 1


async def test_an_answer_is_good_only_in_the_browser_that_began(hub: Any, browser: Browser) -> None:
    """Otherwise ada could be signed in as somebody else without knowing it, or hand her own sign-in away."""
    other = Browser(hub)
    back = await browser.at_provider((await browser.get("/signin/start")).header("Location"))
    assert (await other.get(back)).status == 400
    await other.get("/signin/start")  # it has begun, but something else
    assert (await other.get(back)).status == 400
    assert SESSION not in other.cookies
    assert (await browser.get(back)).status == 303  # the right one is not disturbed


async def test_a_state_that_nobody_began(browser: Browser) -> None:
    await browser.get("/signin/start")
    assert (await browser.get("/signin/back?code=x&state=y")).status == 400
    assert (await browser.get("/signin/back")).status == 400


async def test_a_code_of_another_sign_in_is_refused_by_its_verifier(hub: Any, browser: Browser) -> None:
    """A stolen code is put into the thief's own sign-in: PKCE says that it is not theirs."""
    thief = Browser(hub)
    stolen = parse_qs(
        urlsplit(await browser.at_provider((await browser.get("/signin/start")).header("Location"))).query
    )
    own = (await thief.get("/signin/start")).header("Location")
    state = parse_qs(urlsplit(own).query)["state"][0]
    answer = await thief.get(f"/signin/back?code={stolen['code'][0]}&state={state}")
    assert answer.status == 403
    assert "The code passed is incorrect" in answer.body
    assert SESSION not in thief.cookies


async def test_somebody_whom_no_list_names(hub: Any, browser: Browser, github: GitHubStandIn) -> None:
    github.person = User("mallory", 8)
    answer = await browser.sign_in()
    assert answer.status == 403
    assert "mallory (GitHub, subject 8) is named by no list of this hub" in answer.body
    assert SESSION not in browser.cookies
    assert (await browser.get("/")).status == 401
    assert hub.store.sign_in_rows == {}
    await hub.until(lambda: github.tokens == {})  # what GitHub gave for mallory was given back
    assert any("mallory" in entry.text for entry in await audit(hub) if entry.what == "refused")


async def test_a_login_is_a_text(hub: Any, browser: Browser, github: GitHubStandIn, trusting: Any) -> None:
    github.person = User("<script>alert(1)</script>", 9)
    await hub.hub.people.use(replace(trusting, observers=("sub:9",)))
    assert (await browser.sign_in()).status == 303
    page = await browser.get("/")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.body
    assert "<script>alert" not in page.body


async def test_declined(browser: Browser, github: GitHubStandIn) -> None:
    github.person = None
    answer = await browser.sign_in()
    assert answer.status == 403
    assert "GitHub did not confirm the sign-in" in answer.body


async def test_a_provider_that_is_away(hub: Any, browser: Browser, github: GitHubStandIn) -> None:
    begun = await browser.get("/signin/start")
    back = await browser.at_provider(begun.header("Location"))
    github.away = True
    answer = await browser.get(back)
    assert answer.status == 502
    assert "GitHub answered 503 to a sign-in; try again later." in answer.body


async def test_signing_out_ends_it_at_once(hub: Any, browser: Browser, github: GitHubStandIn) -> None:
    await browser.sign_in()
    stolen = Browser(hub, dict(browser.cookies))
    leave = re.search(r'href="(/signout\?key=[0-9a-f]{32})"', (await browser.get("/")).body)
    assert leave
    assert (await browser.get(leave[1])).status == 200
    assert SESSION not in browser.cookies
    assert (await stolen.get("/")).status == 401  # a copy of the cookie is worth nothing
    await hub.until(lambda: github.tokens == {})


async def test_another_site_cannot_sign_anybody_out(browser: Browser) -> None:
    """SameSite=Lax lets a link of another site carry the cookie; it cannot know the key."""
    await browser.sign_in()
    for target in ("/signout", "/signout?key=", "/signout?key=" + 32 * "0"):
        assert (await browser.get(target)).status == 403
    assert (await browser.get("/")).status == 200


async def test_a_cookie_that_was_made_up(hub: Any, browser: Browser) -> None:
    await browser.sign_in()
    kid = browser.cookies[SESSION].partition(".")[0]
    for value in ("", kid, f"{kid}.", f"{kid}.x", "shared.x", f"{kid}.{hub.store.key_rows[kid].secret}"):
        assert (await Browser(hub, {SESSION: value}).get("/")).status == 401
    two = f"{SESSION}={browser.cookies[SESSION]}; {SESSION}=x"  # set by a neighbour: neither is believed
    assert (await browser.get("/", Cookie=two)).status == 401


async def test_the_key_of_a_page_opens_nothing_else(hub: Any, browser: Browser) -> None:
    await browser.sign_in()
    kid, _, secret = browser.cookies[SESSION].partition(".")
    for key in (secret, hub.store.key_rows[kid].secret):
        for scope in ("observer", "operator", "agent:client"):
            status, _ = await hub.refused("/register", f"Bearer {hub.token(key=key, kid=kid, sub='ada', scope=scope)}")
            assert status in (401, 403)


async def test_a_browser_that_came_by_another_name_is_sent_to_the_right_one(hub: Any, browser: Browser) -> None:
    answer = await browser.get("/signin/start?to=/runs", Host="localhost:1")
    assert answer.header("Location") == f"http://127.0.0.1:{hub.hub.port}/signin/start?to=/runs"
    assert BEGUN not in answer.cookies


async def test_nobody_is_let_in_where_no_list_names_anybody(hub: Any, browser: Browser, trusting: Any) -> None:
    await browser.sign_in()
    await hub.hub.people.use(replace(trusting, operators=(), observers=()))
    page = await browser.get("/")
    assert page.status == 404
    assert "no list of operators or observers names anybody" in page.body
    assert (await browser.get("/signin/start")).status == 404


async def test_a_hub_without_a_sign_in(place: Any) -> None:
    page = await Browser(place).get("/")
    assert page.status == 404
    assert "its settings name no provider in [signin]" in page.body
    assert "Agents come to /register and /agent" in page.body


async def test_files_are_kept_for_ever_and_only_under_their_version(hub: Any, browser: Browser) -> None:
    page = await browser.get("/")
    (style,) = re.findall(r'href="(/page/[0-9a-f]{12}/status\.css)"', page.body)
    answer = await browser.get(style)
    assert answer.header("Content-Type") == "text/css; charset=utf-8"
    assert answer.header("Cache-Control") == "public, max-age=31536000, immutable"
    assert "--window:#14171B" in answer.body
    assert (await browser.get("/page/0123456789ab/status.css")).status == 404
    assert (await browser.get("/page/../../secrets.json")).status == 404


async def test_too_many_begun(hub: Any, browser: Browser) -> None:
    for _ in range(100):
        assert (await browser.get("/signin/start")).status == 303
    answer = await browser.get("/signin/start")
    assert answer.status == 429
    hub.clock.advance(601)
    assert (await browser.get("/signin/start")).status == 303


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1:1"])
async def test_another_site_cannot_watch(hub: Any, browser: Browser, origin: str) -> None:
    await browser.sign_in()
    with pytest.raises(InvalidStatus) as refused:
        await watch(hub, browser, origin)
    assert refused.value.response.status_code == 403


async def test_who_has_not_signed_in_cannot_watch(hub: Any, browser: Browser) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await watch(hub, browser)
    assert refused.value.response.status_code == 401


async def watch(hub: Any, browser: Browser, origin: str | None = None) -> Any:
    """The page's websocket."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    given = f"http://127.0.0.1:{hub.hub.port}" if origin is None else origin
    return await hub.open("/watch", additional={"Cookie": cookies, "Origin": given})


async def audit(hub: Any) -> list[Any]:
    """The record so far."""
    await hub.hub._audit.flush()
    return list(hub.store.audit)
