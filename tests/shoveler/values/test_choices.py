from __future__ import annotations

import pytest

from shoveler.values.choices import nearest, one_of


def test_a_word_of_the_list_is_itself() -> None:
    assert one_of("json", ("text", "json")) == "json"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("jsn", "expected one of text, json, got 'jsn'; did you mean 'json'?"),
        ("xml", "expected one of text, json, got 'xml'"),
        (5, "expected one of text, json, got 5"),
    ],
)
def test_any_other_value_is_told_what_would_have_fitted(value: object, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        one_of(value, ("text", "json"))
    assert str(caught.value) == says


def test_nothing_is_near_to_what_is_far_off() -> None:
    assert nearest("zzz", ("text", "json")) == ""
