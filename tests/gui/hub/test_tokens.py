"""What a token says, claim by claim, by the hub's clock; the refusals over the wire are in test_server."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gui.hub.keys import KeyBook, new_key, shared_key
from gui.hub.tokens import AdmissionError, read_authorization, utc

NOW = 1_800_000_000.0
SECRET = "a shared key that is long enough to be one"
KEY = shared_key(NOW, SECRET)
OWN = new_key(["operator", "observer"], NOW, sub="anna", kid="anna-1")
BOOK = KeyBook.of([KEY, OWN], [])


def claims(**changes: Any) -> dict[str, Any]:
    good = {"aud": "xrootd-tally", "sub": "c1", "scope": "agent:client", "iat": NOW, "exp": NOW + 300, "jti": "j"}
    return {name: value for name, value in (good | changes).items() if value is not None}


def header(payload: dict[str, Any], key: str = SECRET, **head: Any) -> str:
    return "Bearer " + jwt.encode(payload, key, algorithm="HS256", headers=head or None)


def refusal(text: str | None, now: float = NOW) -> tuple[int, str]:
    with pytest.raises(AdmissionError) as caught:
        read_authorization(text, BOOK, now)
    return caught.value.status, caught.value.body(now)


def test_a_good_token() -> None:
    bearer = read_authorization(header(claims()), BOOK, NOW)
    assert (bearer.kid, bearer.sub, bearer.scopes, bearer.jti, bearer.expires) == (
        "shared",
        "c1",
        ("agent:client",),
        "j",
        NOW + 300,
    )
    own = read_authorization(header(claims(sub="anna", scope="operator observer"), OWN.secret, kid="anna-1"), BOOK, NOW)
    assert (own.kid, own.scopes) == ("anna-1", ("operator", "observer"))
    assert read_authorization(header(claims(aud=["x", "xrootd-tally"])), BOOK, NOW).sub == "c1"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"aud": "other"}, 401),
        ({"aud": ["other"]}, 401),
        ({"aud": 7}, 401),
        ({"exp": "soon"}, 401),
        ({"exp": True}, 401),
        ({"exp": -1}, 401),
        ({"exp": 1e300}, 401),
        ({"iat": NOW + 11}, 401),
        ({"exp": NOW - 11, "iat": NOW - 20}, 401),
        ({"nbf": NOW + 60}, 401),
        ({"nbf": "x"}, 401),
        ({"exp": NOW + 3601}, 401),
        ({"exp": NOW - 1}, 401),
        ({"sub": ""}, 401),
        ({"sub": 3}, 401),
        ({"sub": "a/b"}, 401),
        ({"jti": 3}, 401),
        ({"jti": "x" * 300}, 401),
        ({"scope": ["agent:client"]}, 401),
        ({"scope": "agent:client admin"}, 401),
        ({"scope": "agent:client operator"}, 403),
    ],
)
def test_each_claim(changes: dict[str, Any], status: int) -> None:
    got, body = refusal(header(claims(**changes)))
    assert got == status, body
    assert (f"the hub's time is {utc(NOW)}." in body) == (status == 401)


def test_edges_of_the_leeway() -> None:
    for now in (NOW - 10, NOW, NOW + 310):
        read_authorization(header(claims()), BOOK, now)
    for now in (NOW - 10.1, NOW + 310.1):
        assert refusal(header(claims()), now)[0] == 401


def test_nothing_is_said_about_a_key_before_the_signature_is_right() -> None:
    wrong = refusal(header(claims(sub="bob", scope="operator"), "x" * 40, kid="anna-1"))
    unknown = refusal(header(claims(sub="bob", scope="operator"), "x" * 40, kid="nobody"))
    assert wrong == unknown
    assert refusal(header(claims(sub="bob", scope="operator"), OWN.secret, kid="anna-1"))[0] == 403


def test_a_key_with_a_name_is_not_the_shared_key() -> None:
    assert refusal(header(claims(), OWN.secret))[0] == 401
    assert refusal(header(claims(), kid=KEY.kid, key="z" * 40))[0] == 401


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda b: b.decode("latin1"))))
def test_any_header_is_refused_in_words(text: str) -> None:
    assert refusal(text)[0] == 401
    assert refusal("Bearer " + text)[0] == 401


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["aud", "sub", "scope", "iat", "exp", "jti", "nbf"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**60), 2**60),
            st.floats(),
            st.text(max_size=20),
            st.lists(st.text()),
        ),
    )
)
def test_any_claims_are_taken_or_refused(changes: dict[str, Any]) -> None:
    try:
        text = header(claims(**changes))
    except (TypeError, ValueError):
        return  # PyJWT itself does not sign this
    try:
        read_authorization(text, BOOK, NOW)
    except AdmissionError as caught:
        assert caught.status in (401, 403)  # noqa: PT017 - some of them are good
