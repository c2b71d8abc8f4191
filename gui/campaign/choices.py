"""A choice of servers or clients as people type it into one field: ``8``, ``all``, ``s1, s2`` or ``label:EU``."""

from __future__ import annotations

from typing import Literal

from gui.campaign.plan import Choice, Labelled
from gui.campaign.selection import SelectionError, normal_url

Noun = Literal["server", "client"]


def choice_text(choice: Choice) -> str:
    """A choice as text for the field."""
    return ", ".join(choice) if isinstance(choice, tuple) else str(choice)


def parse_choice(text: str, noun: Noun) -> Choice:
    """Parse a field: a number, ``all``, ``label:NAME``, or names separated by commas. Raises ValueError."""
    text = text.strip()
    if not text:
        raise ValueError(f"Enter which {noun}s: a number, all, names separated by commas, or label:NAME.")
    if text == "all":
        return "all"
    if text.lstrip("-").isdecimal():
        if int(text) < 1:
            raise ValueError(f"At least one {noun} is needed, not {text}.")
        return int(text)
    if text.startswith("label:") and "," not in text:
        if not text.removeprefix("label:").strip():
            raise ValueError("Enter the label's name after “label:”.")
        return Labelled(text.removeprefix("label:").strip())
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise ValueError(f"Enter at least one {noun}.")
    for name in names:
        if objection := name_objection(name, noun):
            raise ValueError(objection[0].upper() + objection[1:] + ("" if objection.endswith(".") else "."))
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"The {noun} {min(twice)!r} is named twice.")
    return names


def can_be_typed(choice: Choice, noun: Noun) -> bool:
    """Whether the text of a choice in a field means this choice again; a server named ``8`` would become a number."""
    try:
        return parse_choice(choice_text(choice), noun) == choice
    except ValueError:
        return False


def name_objection(name: str, noun: Noun) -> str:
    """Why no server or client can have this name, as a sentence without its end; empty if one can."""
    if "://" in name:
        if noun == "client":
            return f"expected the names of clients, not a URL such as {name!r}"
        try:
            normal_url(name)
        except SelectionError as error:
            return str(error).rstrip(".")
        return ""
    if any(char.isspace() for char in name):
        return f"expected the name of one {noun}, not {name!r}; several names are separated by commas"
    return ""
