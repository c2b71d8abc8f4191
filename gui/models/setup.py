"""The steps to a first real test, as the page Welcome shows them. No toolkit; imported before the first paint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

StepState = Literal["done", "missing", "trouble"]


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One step. `text` says what is there when it is `done`, else what is missing or wrong."""

    name: str
    title: str
    text: str
    action: str
    state: StepState = "missing"


FIRST_STEPS = (
    SetupStep("bus", "Bus", "where records come from: a RabbitMQ, a folder, or a lab on this machine", "Set up…"),
    SetupStep("hub", "Hub", "where agents join; a key and a certificate are created for you", "Start the hub"),
    SetupStep("agent", "First agent", "one command to paste on a client host", "Add agent…"),
    SetupStep("servers", "Servers", "their addresses, or an agent beside each", "Add servers…"),
    SetupStep("plan", "First plan", "the OSDF 2021 scale sweep, a correctness set, or your own", "Choose plan…"),
)
"""Before anything is known."""


def next_step(steps: tuple[SetupStep, ...]) -> str:
    """The name of the first step that is not done; empty when all are."""
    return next((step.name for step in steps if step.state != "done"), "")
