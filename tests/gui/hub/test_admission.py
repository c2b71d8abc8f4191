"""Registrations, the rate of refusals, and names: decisions without I/O."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.messages import Register
from gui.hub import admission
from gui.hub.admission import Holder, RefusalRate, Registrations, check_name
from gui.hub.persistence import Issued
from gui.hub.tokens import AdmissionError, Bearer

DETAILS = Register(role="client", version="1", host="h")
BEARER = Bearer("shared", "c1", ("agent:client",), "j", 1e9)


def test_each_registration_is_given_out_once() -> None:
    registrations = Registrations()
    first = registrations.add(BEARER, "c1", DETAILS, "::1", 100)
    second = registrations.add(BEARER, "c1", DETAILS, "::1", 100)
    assert first != second
    assert len(first) >= 43
    assert registrations.redeem(first, 130).name == "c1"
    for client_id in (first, "", None, "guess"):
        with pytest.raises(AdmissionError):
            registrations.redeem(client_id, 100)
    with pytest.raises(AdmissionError, match="expired"):
        registrations.redeem(second, 130.1)


def test_registrations_that_nobody_takes_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    registrations = Registrations()
    for second in range(100):
        registrations.add(BEARER, "c1", DETAILS, "::1", second)
    assert len(registrations) == 31
    monkeypatch.setattr(admission, "MAX_REGISTRATIONS", 40)
    for _ in range(100):
        newest = registrations.add(BEARER, "c1", DETAILS, "::1", 99)
    assert len(registrations) == 40
    assert registrations.redeem(newest, 99)


def test_the_sixty_first_refusal_of_a_minute_is_a_429() -> None:
    rate, refused = RefusalRate(), AdmissionError(401, "bad_token", "no")
    assert [rate.count("a", refused, second * 0.5).status for second in range(62)] == [401] * 60 + [429] * 2
    assert rate.count("b", refused, 31).status == 401, "each address by itself"
    assert rate.count("a", refused, 92).status == 401


def test_a_bounded_number_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_ADDRESSES", 10)
    rate = RefusalRate()
    for number in range(100):
        rate.count(f"a{number}", AdmissionError(401, "bad_token", "no"), 0)
    assert len(rate._tries) == 10


HERE = Holder("shared", "::1", fresh=True)
INVITED = replace(BEARER, kid="i-1", invitation=Issued("i-1", "s", "client", 0, 1))


@pytest.mark.parametrize(
    ("bearer", "address", "holder", "free"),
    [
        (BEARER, "::1", None, True),
        (BEARER, "::1", HERE, True),
        (BEARER, "::2", HERE, False),
        (BEARER, "::2", replace(HERE, fresh=False), True),
        (BEARER, "::1", replace(HERE, kid="k-1"), False),
        (replace(BEARER, kid="k-1"), "::2", HERE, True),
        (replace(BEARER, kid="k-1"), "::2", replace(HERE, kid="k-1"), True),
        (replace(BEARER, kid="k-1"), "::1", replace(HERE, kid="k-2"), False),
        (INVITED, "::1", HERE, False),
        (INVITED, "::1", replace(HERE, fresh=False), True),
    ],
)
def test_who_may_have_a_name(bearer: Bearer, address: str, holder: Holder | None, free: bool) -> None:
    if free:
        check_name(bearer, "c1", address, lambda name: holder)
        return
    with pytest.raises(AdmissionError) as caught:
        check_name(bearer, "c1", address, lambda name: holder)
    assert caught.value.status == 403
