import base64

import jwt
import pytest

from shoveler.expiry import expiry, token_expiry

KEY = "k" * 32


def test_when_a_token_expires(tmp_path):
    path = tmp_path / "token"
    path.write_text(jwt.encode({"exp": 1800000000, "scope": "rabbitmq.write"}, KEY) + "\n")
    assert token_expiry(path) == 1800000000


@pytest.mark.parametrize(
    "token",
    [
        "",
        "opaque",
        "a.b.c",
        "a.!!.c",
        "é.é.é",
        jwt.encode({"sub": "x"}, KEY),
        jwt.encode({"exp": 5}, KEY) + ".x",
        "a.W10.c",
        jwt.encode({"exp": 10**400}, KEY),
        jwt.encode({"exp": float("inf")}, KEY),
        f"a.{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.c",
    ],
)
def test_a_token_that_does_not_say(token):
    assert expiry(token) is None


def test_no_file(tmp_path):
    assert token_expiry(None) is None
    assert token_expiry(tmp_path / "none") is None
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert token_expiry(tmp_path / "binary") is None
