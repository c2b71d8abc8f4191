"""People at a hub, in a real browser: Debian's Chromium, with `oidc-provider` as the identity provider.

What is tried here is what a browser decides: cookies, origins, frames, what a policy allows. What the hub answers word
for word is in tests/gui/hub/web/test_door.py."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from gui.hub import Hub, HubOptions
from gui.hub.signin.provider import SignInOptions
from gui.hub.web.cookies import SESSION
from gui.hub.web.markup import h
from gui.statuspage.render import all_runs, fragments
from tests.chromium import Chromium, Page, PageError
from tests.gui.hub.conftest import MemoryStore
from tests.gui.statuspage.story import STATUS
from tests.idp_process import CLIENT, SECRET, IdentityProvider, identity_provider
from tests.promises import within

LIVE = "document.getElementById('live')?.className === 'live ok'"


@dataclass
class Scene:
    """A hub that trusts a real issuer, and a browser."""

    hub: Hub
    store: MemoryStore
    idp: IdentityProvider
    chromium: Chromium
    options: SignInOptions
    urls: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.hub.local_address.replace("wss", "https")

    async def sign_in(self, page: Page, login: str = "ada", to: str = "/") -> None:
        """A person signs in: both forms of the provider."""
        await page.go(f"{self.address}/signin/start?to={to}")
        await self.fill(page, login)

    async def fill(self, page: Page, login: str) -> None:
        """The provider's form for the account, and the one for consent."""
        await page.until("document.querySelector('input[name=login]')")
        await page.run(f"document.querySelector('input[name=login]').value = {login!r}")
        await page.run("document.querySelector('input[name=password]').value = 'x'")
        await page.run("document.querySelector('form').submit()")
        await page.until("document.querySelector('input[name=prompt]')?.value === 'consent'")
        await page.run("document.querySelector('form').submit()")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    store = MemoryStore()
    options = HubOptions(tmp_path / "hub", host="127.0.0.1", port=0, public="127.0.0.1", version="test")
    async with (
        Hub(store, options) as hub,
        identity_provider(f"https://127.0.0.1:{hub.port}/signin/back") as idp,
        Chromium(hub.pin) as chromium,
    ):
        trusted = SignInOptions(idp.issuer, CLIENT, SECRET, observers=("ada", "group:watchers"))
        await hub.people.use(trusted)
        hub.board.publish({**fragments(STATUS), "runs": all_runs(STATUS)})
        yield Scene(hub, store, idp, chromium, trusted)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that the hub or the browser does by itself."""
    async with asyncio.timeout(within(60)):
        while not condition():  # noqa: ASYNC110 - a poll with a deadline, for any condition
            await asyncio.sleep(0.05)


async def test_a_person_signs_in_looks_and_signs_out(scene: Scene) -> None:
    page = await scene.chromium.page()
    await page.go(f"{scene.address}/")
    assert "Run 36" not in await page.text()
    await page.click("a.button")
    await scene.fill(page, "ada")
    await page.until(LIVE)
    text = await page.text()
    for said in ("Run 36", "25,000", "24,976", "24,412", "c4", "s07", "98.53 %", "FAIL", "read-only", "ada"):
        assert said in text, said
    assert re.search(r"live, \d\.\d s ago", text)
    page.complaints.clear()  # of the provider's own pages
    await page.go(f"{scene.address}/")
    await page.until(LIVE)
    assert page.complaints == []

    cookie = (await page.cookies())[SESSION]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
    assert await page.run("document.cookie") == ""

    await page.click("a.more")
    await page.until("location.pathname === '/runs' && " + LIVE)
    assert "Runs" in await page.text()

    other = await scene.chromium.page()
    await other.go(f"{scene.address}/")
    await other.until(LIVE)
    await page.click("header a.button")
    await page.until("document.body.innerText.includes('Signed out')")
    assert SESSION not in await page.cookies()
    await other.until("document.body.innerText.includes('Sign in with')")  # at once, without a click
    assert "Run 36" not in await other.text()


async def test_it_changes_before_ones_eyes_and_disturbs_nothing(scene: Scene) -> None:
    page = await scene.chromium.page()
    await scene.sign_in(page)
    await page.until(LIVE)
    await page.run("window.same = document.querySelector('.figures'); document.querySelector('a.more').focus();"
                   "getSelection().selectAllChildren(document.querySelector('h1'))")  # fmt: skip
    later = replace(STATUS, progress=replace(STATUS.progress, requested=30_000, read=29_999))
    scene.hub.board.publish(fragments(later))
    await page.until("document.body.innerText.includes('29,999')")
    assert await page.run("window.same.isConnected && document.activeElement.textContent") == "All runs"
    assert await page.run("getSelection().toString()") == "Run 36"


async def test_a_hub_that_is_away_and_comes_back(scene: Scene) -> None:
    page = await scene.chromium.page()
    await scene.sign_in(page)
    await page.until(LIVE)
    await scene.hub.__aexit__()
    await page.until("/last seen \\d+(\\.\\d)? (s|min) ago/.test(document.body.innerText)")
    assert "24,976" in await page.text()  # values stay
    async with Hub(scene.store, replace(scene.hub.options, port=scene.hub.port)) as again:
        await again.people.use(scene.options)
        again.board.publish(fragments(replace(STATUS, progress=replace(STATUS.progress, read=24_990))))
        await page.until(LIVE)
        await page.until("document.body.innerText.includes('24,990')")
    scene.hub._servers = []  # it has ended already
    await scene.hub.__aenter__()


async def test_somebody_whom_no_list_names(scene: Scene) -> None:
    page = await scene.chromium.page()
    await scene.sign_in(page, "mallory")
    await page.until("document.body.innerText.includes('Not let in')")
    text = await page.text()
    assert "subject mallory) is named by no list of this hub; ask whoever runs it." in text
    assert "Run 36" not in text
    assert SESSION not in await page.cookies()
    await page.go(f"{scene.address}/")
    assert "Sign in with" in await page.text()


async def test_a_group_lets_in_and_leaving_it_puts_out(scene: Scene) -> None:
    await scene.idp.put_into("bo", "watchers", "others")
    page = await scene.chromium.page()
    await scene.sign_in(page, "bo")
    await page.until(LIVE)
    (kid,) = scene.store.sign_in_rows
    scene.hub.people._sign_ins[kid] = replace(scene.hub.people._sign_ins[kid], checked=0.0)  # ten minutes later
    await until(lambda: scene.hub.people._sign_ins[kid].checked > 0.0)
    assert scene.hub.people.good(kid)  # still in the group: confirmed with the refresh token
    await scene.idp.put_into("bo", "others")
    scene.hub.people._sign_ins[kid] = replace(scene.hub.people._sign_ins[kid], checked=0.0)
    scene.hub.people._asked.clear()
    await page.until("document.body.innerText.includes('Sign in with')")
    assert not scene.hub.people.good(kid)


async def test_an_account_that_is_gone_at_the_provider(scene: Scene) -> None:
    page = await scene.chromium.page()
    await scene.sign_in(page)
    await page.until(LIVE)
    await scene.idp.take_away("ada")
    (kid,) = scene.store.sign_in_rows
    scene.hub.people._sign_ins[kid] = replace(scene.hub.people._sign_ins[kid], checked=0.0)
    await page.until("document.body.innerText.includes('Your sign-in is over')")


async def test_a_name_with_html_is_a_name(scene: Scene) -> None:
    evil = "<img/src=x/onerror=document.title='pwned'>"
    await scene.hub.people.use(replace(scene.options, observers=(f"sub:{evil}",)))
    page = await scene.chromium.page()
    await scene.sign_in(page, evil)
    await page.until(LIVE)
    assert evil in await page.text()
    assert await page.run("document.title") == "Tally"
    assert await page.run("document.querySelectorAll('img').length") == 0


async def test_no_script_but_the_hubs_own_runs(scene: Scene) -> None:
    """Even where a text came to be HTML, against all care."""
    page = await scene.chromium.page()
    await scene.sign_in(page)
    await page.until(LIVE)
    with pytest.raises(PageError, match="TrustedHTML"):
        await page.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned = 1\">')")
    scene.hub.board.publish({"run": type(h("p"))('<p>new<img src="x" onerror="window.pwned = 1"></p>'
                                                 '<script>window.pwned = 2</script>')})  # fmt: skip
    await page.until("document.body.innerText.includes('new')")
    assert await page.run("window.pwned") is None
    assert any("Content Security Policy" in text for text in page.complaints)


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example/", "/signout", "/%5C%5Cevil.example"])
async def test_a_sign_in_never_leads_elsewhere(scene: Scene, to: str) -> None:
    page = await scene.chromium.page()
    await scene.sign_in(page, to=to)
    await page.until(LIVE)
    assert await page.run("location.href") == f"{scene.address}/"


async def test_an_answer_is_good_once_and_only_here(scene: Scene) -> None:
    page = await scene.chromium.page()
    answers: list[str] = []
    page.on_request = lambda url: answers.append(url) if "/signin/back" in url else None
    await scene.sign_in(page)
    await page.until(LIVE)
    assert len(answers) == 1
    await page.go(answers[0])
    assert "was used before" in await page.text()
    stranger = await scene.chromium.page(private=True)
    await stranger.go(answers[0])
    assert "not begun in this browser" in await stranger.text()
    assert SESSION not in await stranger.cookies()
    assert len(scene.store.sign_in_rows) == 1


# ---- another site


@pytest.fixture
def elsewhere() -> Any:
    """A site of somebody else: ``localhost``, where the hub is ``127.0.0.1``; so the two are cross-site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><title>evil</title><p>evil"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_another_site_gets_nothing(scene: Scene, elsewhere: str) -> None:
    own = await scene.chromium.page()
    await scene.sign_in(own)
    await own.until(LIVE)
    (kid,) = scene.store.sign_in_rows
    await own.go("about:blank")
    evil = await scene.chromium.page()
    await evil.go(elsewhere)
    scene.hub.people._used.clear()  # what the page itself had asked for is answered by now

    # It cannot read the page, nor does its request carry the cookie.
    read = f"fetch({scene.address + '/'!r}, {{credentials: 'include'}}).then(a => a.text(), e => 'refused: ' + e)"
    assert str(await evil.run(read)).startswith("refused: TypeError")
    await evil.run(f"fetch({scene.address + '/'!r}, {{credentials: 'include', mode: 'no-cors'}}).catch(() => true)")
    assert kid not in scene.hub.people._used

    # Nor open the live feed, nor begin a program's sign-in.
    for path in ("/watch", "/signin"):
        socket = scene.address.replace("https", "wss") + path
        tried = (
            f"new Promise(done => {{ const s = new WebSocket({socket!r}, 'tally.1'); s.onopen = () => done('opened');"
            " s.onmessage = () => done('heard'); s.onerror = () => done('refused'); })"
        )
        assert await evil.run(tried) == "refused", path

    # Nor show the page in a frame.
    await evil.run(
        "new Promise(done => { const f = document.createElement('iframe'); f.onload = () => done(true);"
        f" f.src = {scene.address + '/'!r}; document.body.append(f); }})"
    )
    await until(lambda: any("frame" in text.lower() for text in evil.complaints))
    assert kid not in scene.hub.people._used

    # Nor sign anybody out, with a picture or with a link.
    await evil.run(
        f"new Promise(d => {{ const i = new Image(); i.onerror = d; i.src = {scene.address + '/signout'!r}; }})"
    )
    await evil.run(f"location.href = {scene.address + '/signout'!r}")
    await evil.until("document.body.innerText.includes('use the button on the page')")
    assert scene.hub.people.good(kid)
    text = " ".join(entry.text for entry in scene.store.audit) + str(scene.hub._refusals.counts)
    assert "origin" in text


async def test_a_window_that_another_site_opens_is_out_of_its_reach(scene: Scene, elsewhere: str) -> None:
    """Cross-Origin-Opener-Policy: it has no handle on the page, and the page none on it."""
    own = await scene.chromium.page()
    await scene.sign_in(own)
    await own.until(LIVE)
    await own.go(elsewhere)
    await own.run(f"window.other = window.open({scene.address + '/'!r}), true")
    await own.until("window.other === null || window.other.closed")
    with pytest.raises(PageError):
        await own.run("window.other.document.body.innerText")


# ---- shapes


@pytest.mark.parametrize(("width", "height", "phone"), [(360, 740, True), (390, 844, True), (719, 900, False),
                                                        (720, 900, False), (1024, 768, False), (1440, 900, False),
                                                        (1920, 1080, False), (3840, 2160, False)])  # fmt: skip
async def test_nothing_is_cut_at_any_width(scene: Scene, width: int, height: int, phone: bool) -> None:
    page = await scene.chromium.page(width, height, phone=phone)
    await scene.sign_in(page)
    await page.until(LIVE)
    assert await page.run("document.documentElement.scrollWidth") <= width
    # Labels of the axis reach half a label beyond it, into its margin, and the arc of what runs turns.
    over = (
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('svg, .x, .sign') && e.getClientRects().length"
        " && getComputedStyle(e).overflow !== 'hidden' && e.scrollWidth > e.clientWidth + 1 && e.clientWidth"
        " && getComputedStyle(e).display !== 'inline').map(e => e.className + ': ' + e.textContent.slice(0, 40))"
    )
    assert await page.run(over) == []
    if phone:
        small = (
            "[...document.querySelectorAll('a')].filter(e => e.getClientRects().length)"
            ".filter(e => e.getBoundingClientRect().height < 44).map(e => e.textContent)"
        )
        assert await page.run(small) == []
        assert "Missing" not in await page.text()  # the table is a list there
    if width >= 1920:
        assert await page.run("document.documentElement.scrollHeight <= innerHeight")  # a wall does not scroll


async def test_clients_unfold_on_a_phone(scene: Scene) -> None:
    page = await scene.chromium.page(390, 844, phone=True)
    await scene.sign_in(page)
    await page.until(LIVE)
    assert "wn31" not in await page.text()
    await page.click("a.open")
    await page.until(
        "document.body.innerText.includes('c4') && document.querySelector('.fleet table').offsetHeight > 100"
    )


async def test_it_reads_the_same_without_a_script(scene: Scene) -> None:
    page = await scene.chromium.page()
    await scene.sign_in(page)
    await page.until(LIVE)
    await page.ask("Emulation.setScriptExecutionDisabled", value=True)
    await page.ask("Page.navigate", url=f"{scene.address}/")
    text = await page.read("signed in as ada")  # at the foot: all of it is there
    for said in ("Run 36", "24,976", "as of this moment", "wn31.site-c.example.edu", "98.53", "09:59:00 UTC"):
        assert said in text, said
    assert 'http-equiv="refresh" content="10"' in text


async def test_light_and_dark_follow_the_reader(scene: Scene) -> None:
    page = await scene.chromium.page(dark=True)
    await scene.sign_in(page)
    await page.until(LIVE)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert await page.run(ground) == "rgb(20, 23, 27)"
    await page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    assert await page.run(ground) == "rgb(241, 243, 245)"


# ---- programs


async def test_a_program_signs_in_and_out_with_real_commands(tmp_path: Path) -> None:
    """`tally hub`, `tally login`, `tally run --hub`, `tally logout`, each a process; a person types the code."""
    host, mine = tmp_path / "host", tmp_path / "mine"
    host.mkdir()
    settings = '[hub]\nhost = "127.0.0.1"\nport = 0\npublic = "127.0.0.1"\n'
    (host / "settings.toml").write_text(settings)
    (host / "secret").write_text(SECRET)
    hub = await started(host, "hub")
    said = await line_with(hub, "Hub at ")
    port, pin = re.search(r"127\.0\.0\.1:(\d+)", said), re.search(r"sha256:[0-9a-f]{64}", said)
    assert port
    assert pin
    page_address = f"https://127.0.0.1:{port[1]}/"
    async with identity_provider(f"{page_address}signin/back") as idp:
        try:
            (host / "settings.toml").write_text(  # while the hub runs
                f'{settings}[signin]\nprovider = "{idp.issuer}"\nclient_id = "{CLIENT}"\n'
                f'secret_file = "{host / "secret"}"\noperators = ["ada"]\n'
            )
            assert page_address in await line_with(hub, "People sign in by")
            address = f"wss://127.0.0.1:{port[1]}"
            login = await started(mine, "login", address, "--pin", pin[0])
            where = re.search(r"or open (\S+)", await line_with(login, "or open "))
            assert where
            async with Chromium(pin[0]) as chromium:
                await allow(await chromium.page(), where[1], "ada")
                async with asyncio.timeout(within(120)):
                    assert await login.wait() == 0
                page = await chromium.page()
                await page.go(page_address)
                assert "Sign in with 127.0.0.1" in await page.text()
            assert (mine / "secrets.json").stat().st_mode & 0o777 == 0o600
            assert "u-" in await output(host, "key", "list")

            plan = tmp_path / "plan.toml"
            plan.write_text(
                'name = "p"\n[[test]]\nservers = ["root://127.0.0.1:1"]\nfiles_per_server = 1\nper_round = 1\n'
            )
            code, text = await ended(await started(mine, "run", str(plan), "--hub", address))
            assert code != 0
            assert "needs a key" not in text  # it was let in: the hub says what is wrong with the plan
            assert "tally login" not in text

            code, text = await ended(await started(mine, "logout", address))
            assert (code, "Signed out of" in text) == (0, True), text
            code, text = await ended(await started(mine, "run", str(plan), "--hub", address))
            assert (code, f"sign in with `tally login {address}`" in text) == (2, True), text
            code, text = await ended(await started(mine, "logout", address))
            assert (code, "is not signed in to" in text) == (2, True), text
            log = await output(host, "key", "log")
            assert "signed in" in log
            assert "they signed out" in log
        finally:
            hub.terminate()
            async with asyncio.timeout(within(60)):
                await hub.wait()


async def allow(page: Page, address: str, login: str) -> None:
    """What a person does with the address of a device flow: confirm the code, sign in, consent."""
    await page.go(address)
    await page.until("document.querySelector('input[name=confirm]')")
    await page.run("document.querySelector('form').submit()")
    await page.until("document.querySelector('input[name=login]')")
    await page.run(f"document.querySelector('input[name=login]').value = {login!r}")
    await page.run("document.querySelector('input[name=password]').value = 'x'")
    await page.run("document.querySelector('form').submit()")
    await page.until("document.querySelector('input[name=prompt]')?.value === 'consent'")
    await page.run("document.querySelector('form').submit()")
    await page.until("/success/i.test(document.body.innerText)")


async def started(data: Path, *words: str) -> asyncio.subprocess.Process:
    """A `tally` command with a data directory of its own."""
    environ = {**os.environ, "TALLY_DATA": str(data), "PYTHONUNBUFFERED": "1"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gui.cli", *words, env=environ,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def line_with(process: asyncio.subprocess.Process, words: str) -> str:
    """The next line of its output with these words."""
    assert process.stdout is not None
    seen = []
    async with asyncio.timeout(within(120)):
        while line := (await process.stdout.readline()).decode():
            seen.append(line)
            if words in line:
                return line
    raise AssertionError("".join(seen))


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    async with asyncio.timeout(within(120)):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def output(data: Path, *words: str) -> str:
    code, text = await ended(await started(data, *words))
    assert code == 0, text
    return text
