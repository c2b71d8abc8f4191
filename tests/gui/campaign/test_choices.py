"""Choices of servers and clients as people type them."""

from __future__ import annotations

import pytest

from gui.campaign.choices import can_be_typed, choice_text, parse_choice
from gui.campaign.plan import Labelled
from gui.campaign.planfile import PlanError, parse_plan


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("8", 8),
        ("all", "all"),
        (" s1 , s2 ", ("s1", "s2")),
        ("label:EU", Labelled("EU")),
        ("root://h:1094, s2", ("root://h:1094", "s2")),
    ],
)
def test_what_can_be_typed_is_read_and_shown_again(text: str, choice: object) -> None:
    assert parse_choice(text, "server") == choice
    assert parse_choice(choice_text(choice), "server") == choice
    assert can_be_typed(choice, "server")


@pytest.mark.parametrize(
    ("text", "noun", "said"),
    [
        ("", "server", "Enter which servers"),
        (",", "server", "Enter at least one server"),
        ("0", "client", "At least one client is needed, not 0."),
        ("label:", "client", "label's name"),
        ("a, a", "server", "'a' is named twice"),
        ("foo bar", "server", "Expected the name of one server, not 'foo bar'"),
        ("c1 c2", "client", "Expected the name of one client, not 'c1 c2'"),
        ("root://x", "client", "Expected the names of clients, not a URL"),
        ("ftp://x", "server", "is not the URL of an XRootD server"),
    ],
)
def test_what_cannot_be_meant_is_said(text: str, noun: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse_choice(text, noun)  # type: ignore[arg-type]
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("choice", [("8",), ("all",), ("a,b", "c"), ("label:EU",)])
def test_a_name_that_reads_as_something_else_cannot_be_typed(choice: tuple[str, ...]) -> None:
    assert not can_be_typed(choice, "server")


def test_a_file_says_the_same_of_a_name_as_the_field() -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan('name = "x"\n[[test]]\nservers = ["foo bar"]\nfiles_per_server = 1\nper_round = 1\n')
    with pytest.raises(ValueError, match="foo bar") as typed:
        parse_choice("foo bar", "server")
    assert caught.value.problems[0].text.removeprefix("servers: ") == str(typed.value)[:-1].replace("Exp", "exp")
