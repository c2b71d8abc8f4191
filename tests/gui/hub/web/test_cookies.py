"""Cookies, as they are written and read."""

from __future__ import annotations

import pytest

from gui.hub.web.cookies import SESSION, cookie, no_cookie, read_cookie, sign_out_key


def test_what_a_cookie_may() -> None:
    assert cookie(SESSION, "v", 9.6) == f"{SESSION}=v; Path=/; Max-Age=10; Secure; HttpOnly; SameSite=Lax"
    assert "Max-Age=0;" in no_cookie(SESSION)
    assert SESSION.startswith("__Host-")


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([f"{SESSION}=a"], "a"),
        ([f"x=1; {SESSION}=a.b=c ; y=2"], "a.b=c"),
        (["x=1", f"{SESSION}=a"], "a"),
        ([f"{SESSION}=a; {SESSION}=a"], ""),
        ([f"{SESSION}=a", f"{SESSION}=b"], ""),
        ([f"x{SESSION}=a"], ""),
        ([SESSION], ""),
        ([], ""),
        ([";" * 20_000 + f"{SESSION}=a"], ""),
    ],
)
def test_reading(headers: list[str], value: str) -> None:
    assert read_cookie(headers, SESSION) == value


def test_the_key_to_sign_out_tells_nothing_of_the_cookie() -> None:
    assert sign_out_key("a") != sign_out_key("b")
    assert len(sign_out_key("p-1.secret")) == 32
