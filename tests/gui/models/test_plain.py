"""Text of others cannot turn the direction of what stands beside it, nor hide anything."""

from __future__ import annotations

import pytest

from gui.models.plain import straight
from gui.models.rows import Column

MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_of_direction_is_shown_and_not_obeyed(mark: str) -> None:
    assert straight(f"a{mark}gnp.exe") == "a·gnp.exe"


@pytest.mark.parametrize("sign", "\x00\x07\x08\x1b\r\x7f\x9b\u2028\u2029")
def test_a_control_character_is_seen(sign: str) -> None:
    assert straight(f"a{sign}b") == "a·b"


def test_letters_from_the_right_and_other_signs_stay() -> None:
    assert straight("שלום 🦑 naïve\u200d\n\t") == "שלום 🦑 naïve\u200d\n\t"


def test_so_does_each_cell_of_a_table() -> None:
    assert Column[str]("a", "A", str).shows("\u202eevil") == "·evil"
    assert Column[str]("a", "A", str, lambda r: f"<{r}>").shows("\u202eevil") == "<·evil>"
