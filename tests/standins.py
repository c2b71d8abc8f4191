"""A small stand-in that answers as GitHub's sign-in does: device code, access token, user, teams, authorize.

Written after docs.github.com, "Authorizing OAuth apps" and "REST API endpoints for teams"; it is strict where GitHub
is, and says what it was asked. It runs in a thread, on a free loopback port."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


@dataclass
class User:
    """Somebody at this GitHub."""

    login: str
    id: int
    teams: tuple[str, ...] = ()


@dataclass
class GitHubStandIn:
    """What it knows. `person` signs in when a browser or a device asks; None: they decline. `asked`: all requests."""

    client: str = "client-1"
    secret: str = "the client's secret"
    person: User | None = None
    interval: int = 1
    address: str = ""
    away: bool = False
    """It answers 503 to everything."""
    asked: list[str] = field(default_factory=list)
    tokens: dict[str, User] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    """Device codes by state: waiting, entered, declined, slow."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def enter(self, state: str = "entered") -> None:
        """The person types the code of every device that waits."""
        for device in self.devices:
            self.devices[device] = state

    # ---- endpoints

    def device_code(self, form: dict[str, str]) -> tuple[int, Any]:
        if form.get("client_id") != self.client:
            return 404, {"error": "Not Found"}
        device = secrets.token_hex(20)
        self.devices[device] = "waiting"
        return 200, {
            "device_code": device,
            "user_code": "WDJB-MJHT",
            "verification_uri": f"{self.address}/login/device",
            "expires_in": 900,
            "interval": self.interval,
        }

    def access_token(self, form: dict[str, str]) -> tuple[int, Any]:
        if form.get("client_id") != self.client:
            return 200, {"error": "incorrect_client_credentials"}
        if "device_code" in form:
            return self._device_token(form["device_code"])
        begun = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if form.get("client_secret") != self.secret:
            return 200, {"error": "incorrect_client_credentials"}
        if begun is None or begun["code_challenge"] != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
            return 200, {"error": "bad_verification_code", "error_description": "The code passed is incorrect."}
        if begun["redirect_uri"] != form.get("redirect_uri"):
            return 200, {"error": "redirect_uri_mismatch"}
        return 200, self._token()

    def _device_token(self, device: str) -> tuple[int, Any]:
        match self.devices.get(device):
            case "waiting":
                return 200, {"error": "authorization_pending"}
            case "slow":
                self.devices[device] = "entered"
                return 200, {"error": "slow_down", "interval": self.interval + 5}
            case "declined":
                return 200, {"error": "access_denied"}
            case "entered" if self.person is not None:
                del self.devices[device]
                return 200, self._token()
        return 200, {"error": "incorrect_device_code"}

    def _token(self) -> dict[str, str]:
        assert self.person is not None
        token = f"gho_{secrets.token_hex(18)}"
        self.tokens[token] = self.person
        return {"access_token": token, "token_type": "bearer", "scope": ""}

    def user(self, token: str) -> tuple[int, Any]:
        person = self.tokens.get(token)
        return (
            (401, {"message": "Bad credentials"}) if person is None else (200, {"login": person.login, "id": person.id})
        )

    def teams(self, token: str, page: int, size: int) -> tuple[int, Any]:
        person = self.tokens.get(token)
        if person is None:
            return 401, {"message": "Bad credentials"}
        teams = person.teams[(page - 1) * size : page * size]
        pairs = [team.split("/") for team in teams]
        return 200, [{"slug": slug, "organization": {"login": login}} for login, slug in pairs]

    def authorize(self, query: dict[str, str]) -> tuple[int, str]:
        """Where the browser goes: the person has agreed, or declined."""
        answer = {"state": query["state"]}
        if self.person is None:
            answer["error"] = "access_denied"
        else:
            answer["code"] = secrets.token_hex(10)
            self.codes[answer["code"]] = query
        return 302, f"{query['redirect_uri']}?{urlencode(answer)}"

    @contextmanager
    def running(self) -> Iterator[GitHubStandIn]:
        """Listen while the block runs."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(hub: GitHubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            self._answer({name: values[0] for name, values in parse_qs(body).items()})

        def do_DELETE(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self._answer(body)

        def _answer(self, form: dict[str, Any]) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            hub.asked.append(f"{self.command} {parts.path}")
            if hub.away:
                self._send(503, {"message": "unavailable"})
                return
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            match self.command, parts.path:
                case "POST", "/login/device/code":
                    self._send(*hub.device_code(form))
                case "POST", "/login/oauth/access_token":
                    self._send(*hub.access_token(form))
                case "GET", "/login/oauth/authorize":
                    self._redirect(*hub.authorize(query))
                case "GET", "/api/v3/user":
                    self._send(*hub.user(bearer))
                case "GET", "/api/v3/user/teams":
                    self._send(*hub.teams(bearer, int(query["page"]), int(query["per_page"])))
                case "DELETE", path if path == f"/api/v3/applications/{hub.client}/token":
                    self._send(*self._ended(str(form.get("access_token"))))
                case _:
                    self._send(404, {"message": "Not Found"})

        def _ended(self, token: str) -> tuple[int, Any]:
            pair = base64.b64encode(f"{hub.client}:{hub.secret}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {pair}":
                return 401, {}
            return (204, None) if hub.tokens.pop(token, None) else (404, {})

        def _send(self, status: int, value: Any) -> None:
            body = b"" if value is None else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _redirect(self, status: int, location: str) -> None:
            self.send_response(status)
            self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler
