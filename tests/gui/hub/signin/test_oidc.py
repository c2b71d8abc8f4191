"""An OIDC issuer, played by its answers; tests/integration has a real one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gui.hub.signin.fetch import Answer, ProviderAwayError, ProviderError, RefusedError
from gui.hub.signin.oidc import Oidc
from gui.hub.signin.provider import Confirmed, Errand, NotYet, SignInOptions, Tokens

ISSUER = "https://idp.example"
ERRAND = Errand("state-1", "nonce-1", "verifier-1" * 5, "https://hub.example/signin/back")
OPTIONS = SignInOptions(ISSUER, "client-1", "s3cret", ("x1",))
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, **more: str) -> dict[str, Any]:
    algorithm: Any = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), **more}


class Issuer:
    """The answers of an issuer, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
            "userinfo_endpoint": f"{ISSUER}/me",
            "device_authorization_endpoint": f"{ISSUER}/device",
            "revocation_endpoint": f"{ISSUER}/revoke",
        }
        self.keys = [public(RSA, kid="k1")]
        self.claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": "client-1",
            "sub": "x1",
            "nonce": "nonce-1",
            "iat": time.time(),
            "exp": time.time() + 300,
        }
        self.headers: dict[str, Any] = {"kid": "k1"}
        self.signer: Any = RSA
        self.algorithm = "RS256"
        self.info: dict[str, Any] = {"sub": "x1", "preferred_username": "ada", "groups": ["/wlcg"]}
        self.token: Answer | None = None

    def get(self, url: str, *, bearer: str = "", headers: Mapping[str, str] = {}) -> Answer:
        self.asked.append((url, {"bearer": bearer}, dict(headers)))
        match url.removeprefix(ISSUER):
            case "/.well-known/openid-configuration":
                return Answer(200, self.metadata)
            case "/jwks":
                return Answer(200, {"keys": self.keys})
            case "/me":
                return Answer(200, self.info) if bearer == "access-1" else Answer(401, {})
        raise AssertionError(url)

    def post(self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] = {}) -> Answer:
        self.asked.append((url, dict(form), dict(headers)))
        match url.removeprefix(ISSUER):
            case "/token":
                return self.token or Answer(200, self.tokens())
            case "/device":
                activate = f"{ISSUER}/activate"
                code = {"device_code": "d", "user_code": "AB-CD", "expires_in": 60}
                shown = {"verification_uri": activate, "verification_uri_complete": f"{activate}?c=AB-CD"}
                return Answer(200, {**code, **shown})
            case "/revoke":
                return Answer(200, None)
        raise AssertionError(url)

    def delete(self, url: str, value: Mapping[str, str], *, headers: Mapping[str, str] = {}) -> Answer:
        raise AssertionError(url)

    def tokens(self) -> dict[str, Any]:
        signed = jwt.encode(self.claims, self.signer, self.algorithm, self.headers)
        return {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 3600, "id_token": signed}

    def said(self, path: str) -> dict[str, str]:
        """The form of the last request to this path."""
        return next(form for url, form, _ in reversed(self.asked) if url == ISSUER + path)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def redeem(issuer: Issuer, **query: str) -> Confirmed:
    return Oidc(OPTIONS, issuer).redeem({"code": "c1", **query}, ERRAND)


def test_a_browser(issuer: Issuer) -> None:
    address = urlsplit(Oidc(OPTIONS, issuer).authorize_address(ERRAND))
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert query == {
        "response_type": "code",
        "client_id": "client-1",
        "redirect_uri": "https://hub.example/signin/back",
        "scope": "openid profile email offline_access",
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": ERRAND.challenge,
        "code_challenge_method": "S256",
        "prompt": "consent",
    }
    confirmed = redeem(issuer)
    person = confirmed.person
    assert (person.issuer, person.subject, person.login, person.groups) == (ISSUER, "x1", "ada", ("/wlcg",))
    assert confirmed.tokens.refresh == "refresh-1"
    assert issuer.said("/token")["code_verifier"] == ERRAND.verifier


def test_the_challenge_is_that_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    errand = replace(ERRAND, verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert errand.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"iss": "https://other.example"}, "is from another issuer"),
        ({"iss": ISSUER + "/"}, "is from another issuer"),
        ({"aud": "client-2"}, "is for another client"),
        ({"aud": ["client-2"]}, "is for another client"),
        ({"aud": ["client-1", "client-2"]}, "was issued to another client"),
        ({"azp": "client-2"}, "was issued to another client"),
        ({"exp": time.time() - 600}, "has expired"),
        ({"exp": None}, "has expired"),
        ({"iat": time.time() + 7200}, "is from the future"),
        ({"nonce": "nonce-2"}, "is not the answer to this sign-in"),
        ({"nonce": None}, "is not the answer to this sign-in"),
        ({"sub": ""}, "names nobody"),
        ({"sub": 7}, "names nobody"),
        ({"sub": "a\nb"}, "names nobody"),
    ],
)
def test_claims_that_are_wrong(issuer: Issuer, change: dict[str, Any], said: str) -> None:
    issuer.claims |= change
    with pytest.raises(RefusedError, match=said):
        redeem(issuer)


def test_several_audiences_with_ours_as_the_party(issuer: Issuer) -> None:
    issuer.claims |= {"aud": ["other", "client-1"], "azp": "client-1"}
    assert redeem(issuer).person.subject == "x1"


def test_another_key(issuer: Issuer) -> None:
    issuer.signer = OTHER
    with pytest.raises(RefusedError, match="cannot be verified"):
        redeem(issuer)


@pytest.mark.parametrize("secret", ["s3cret", "x" * 32])
def test_a_signature_that_the_clients_secret_makes(issuer: Issuer, secret: str) -> None:
    issuer.signer, issuer.algorithm = secret.ljust(32), "HS256"
    issuer.keys.append({"kty": "oct", "k": "eHh4", "kid": "k1"})
    with pytest.raises(RefusedError, match="'HS256', which is not accepted"):
        redeem(issuer)


def test_no_signature(issuer: Issuer) -> None:
    issuer.signer, issuer.algorithm = None, "none"
    with pytest.raises(RefusedError, match="'none', which is not accepted"):
        redeem(issuer)


def test_the_public_key_as_a_secret(issuer: Issuer) -> None:
    """The oldest trick: HS256 with the RSA key's own text. Its algorithm is refused before any key is looked at."""
    head, body = {"alg": "HS256", "kid": "k1"}, issuer.claims
    issuer.token = Answer(200, {**issuer.tokens(), "id_token": jwt.encode(body, "x" * 64, "HS256", head)})
    with pytest.raises(RefusedError, match="not accepted"):
        redeem(issuer)


def test_a_key_of_another_algorithm(issuer: Issuer) -> None:
    issuer.keys = [public(RSA, kid="k1", alg="PS256")]
    with pytest.raises(RefusedError, match="does not publish"):
        redeem(issuer)


@pytest.mark.parametrize("token", [None, 7, "", "a.b.c", "a.b"])
def test_what_is_no_id_token(issuer: Issuer, token: Any) -> None:
    issuer.token = Answer(200, {**issuer.tokens(), "id_token": token})
    with pytest.raises(RefusedError):
        redeem(issuer)


def test_no_id_token_at_all(issuer: Issuer) -> None:
    issuer.token = Answer(200, {"access_token": "access-1"})
    with pytest.raises(RefusedError, match="is the scope openid allowed"):
        redeem(issuer)


def test_elliptic_curves_and_keys_without_a_name(issuer: Issuer) -> None:
    issuer.keys = [public(RSA), public(CURVE)]
    issuer.signer, issuer.algorithm, issuer.headers = CURVE, "ES256", {}
    assert redeem(issuer).person.subject == "x1"
    issuer.signer, issuer.algorithm = RSA, "PS512"
    assert redeem(issuer).person.subject == "x1"


def test_a_new_key_is_found_but_not_looked_for_all_the_time(issuer: Issuer) -> None:
    clock = [time.time()]
    provider = Oidc(OPTIONS, issuer, lambda: clock[0])
    provider.redeem({"code": "1"}, ERRAND)
    issuer.keys, issuer.signer, issuer.headers = [public(OTHER, kid="k2")], OTHER, {"kid": "k2"}
    with pytest.raises(RefusedError, match="does not publish"):
        provider.redeem({"code": "2"}, ERRAND)  # a flood of made-up names costs the issuer nothing
    clock[0] += 31
    assert provider.redeem({"code": "3"}, ERRAND).person.subject == "x1"
    assert [url for url, _, _ in issuer.asked].count(f"{ISSUER}/jwks") == 2


def test_the_answer_of_another_issuer(issuer: Issuer) -> None:
    with pytest.raises(RefusedError, match="names another issuer"):
        redeem(issuer, iss="https://other.example")
    assert redeem(issuer, iss=ISSUER).person.subject == "x1"
    issuer.metadata["authorization_response_iss_parameter_supported"] = True
    with pytest.raises(RefusedError, match="names another issuer"):
        redeem(issuer)


def test_a_document_of_somebody_else(issuer: Issuer) -> None:
    issuer.metadata["issuer"] = "https://other.example"
    with pytest.raises(ProviderAwayError, match=r"it calls itself 'https://other\.example'"):
        Oidc(OPTIONS, issuer).authorize_address(ERRAND)


@pytest.mark.parametrize("address", [None, "http://idp.example/token", "javascript:x", 7])
def test_endpoints_that_get_no_secrets(issuer: Issuer, address: Any) -> None:
    issuer.metadata["token_endpoint"] = address
    with pytest.raises(ProviderAwayError, match="no usable token_endpoint"):
        redeem(issuer)


def test_two_people_for_one_sign_in(issuer: Issuer) -> None:
    issuer.info["sub"] = "x2"
    with pytest.raises(RefusedError, match="names two people"):
        redeem(issuer)


def test_an_address_must_be_verified(issuer: Issuer) -> None:
    issuer.info |= {"email": "ada@example.org"}
    assert redeem(issuer).person.email == ""
    issuer.info |= {"email_verified": True}
    assert redeem(issuer).person.email == "ada@example.org"


def test_groups_have_many_names(issuer: Issuer) -> None:
    issuer.info |= {
        "wlcg.groups": ["/atlas"],
        "eduperson_entitlement": "urn:x",
        "isMemberOf": ["a", 7, ""],
        "groups": None,
    }
    assert redeem(issuer).person.groups == ("/atlas", "a", "urn:x")


def test_the_clients_secret_goes_as_the_issuer_takes_it(issuer: Issuer) -> None:
    redeem(issuer)
    _, form, headers = next(asked for asked in issuer.asked if asked[0] == f"{ISSUER}/token")
    assert headers["Authorization"].startswith("Basic ")
    assert "client_secret" not in form
    issuer.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    redeem(issuer)
    assert issuer.said("/token")["client_secret"] == "s3cret"
    Oidc(replace(OPTIONS, client_secret=""), issuer).redeem({"code": "1"}, ERRAND)
    assert issuer.said("/token")["client_id"] == "client-1"
    assert "client_secret" not in issuer.said("/token")


def test_a_device(issuer: Issuer) -> None:
    provider = Oidc(OPTIONS, issuer)
    code = provider.start_device()
    assert (code.code, code.whole, code.seconds, code.interval) == ("AB-CD", f"{ISSUER}/activate?c=AB-CD", 60.0, 5.0)
    issuer.token = Answer(400, {"error": "authorization_pending"})
    assert provider.poll_device(code, 5.0) == NotYet(5.0)
    issuer.token = Answer(400, {"error": "slow_down"})
    assert provider.poll_device(code, 5.0) == NotYet(10.0)
    issuer.token = Answer(400, {"error": "expired_token"})
    with pytest.raises(RefusedError, match="the code has expired; begin again"):
        provider.poll_device(code, 5.0)
    issuer.token = Answer(503, {})
    with pytest.raises(ProviderAwayError):
        provider.poll_device(code, 5.0)
    issuer.token = None
    del issuer.claims["nonce"]
    answer = provider.poll_device(code, 5.0)
    assert isinstance(answer, Confirmed)
    assert answer.person.subject == "x1"


def test_an_issuer_without_a_device_flow(issuer: Issuer) -> None:
    del issuer.metadata["device_authorization_endpoint"]
    with pytest.raises(ProviderError, match=r"idp\.example has no device flow, which tally login needs"):
        Oidc(OPTIONS, issuer).start_device()


def test_confirmed_again(issuer: Issuer) -> None:
    provider = Oidc(OPTIONS, issuer)
    issuer.token = Answer(200, {"access_token": "access-1"})  # neither a new refresh token nor an ID token is owed
    confirmed = provider.confirm(Tokens("old", "refresh-0"))
    assert (confirmed.person.subject, confirmed.tokens.refresh) == ("x1", "refresh-0")
    assert issuer.said("/token") == {"grant_type": "refresh_token", "refresh_token": "refresh-0"}
    issuer.token = Answer(400, {"error": "invalid_grant"})
    with pytest.raises(RefusedError, match="knows the code or token no more"):
        provider.confirm(Tokens("old", "refresh-0"))
    with pytest.raises(RefusedError, match="no token with which"):
        provider.confirm(Tokens("old"))


def test_given_back(issuer: Issuer) -> None:
    Oidc(OPTIONS, issuer).forget(Tokens("a", "r"))
    assert issuer.said("/revoke") == {"token": "r", "token_type_hint": "refresh_token"}


def test_discovery_is_asked_once_an_hour(issuer: Issuer) -> None:
    clock = [1e9]
    provider = Oidc(OPTIONS, issuer, lambda: clock[0])
    for _ in range(3):
        provider.authorize_address(ERRAND)
    clock[0] += 3601
    provider.authorize_address(ERRAND)
    assert len(issuer.asked) == 2
