"""The hub: where agents and operators join, and what they say and are told while they are here.

    agent ── Register ─► /register ─► one-time id ─► /agent ─► session ⇄ Journal, Sample … / StartRepeat, Round …

- `tokens` (is this bearer good?) and `admission` (may it come in now?) decide, without I/O; `keys` makes, rotates and
  revokes what tokens are signed with. An `AdmissionError` is an HTTP status with one sentence. `gate` asks them, for
  each connection and each registration; `keyring` is what the hub knows of the keys.
- `session` is one agent's session and `sessions` all of them; `operate` is one operator's, `operators` all of theirs.
- `server.Hub` listens, owns these parts and all tasks, and is what its owner talks to; `listener` is what it tells.
- `commits` groups what must be on disk before it is acknowledged: spent tokens and journal lines. The store is reached
  through the protocols of `persistence` only, always in a thread: the hub never waits for it in its event loop.
- `audit` is the record of who came and went.
- `roster` is who is here, as immutable views. `certificate` is the hub's TLS key and its pin.

An agent's *identity* is (``kid``, ``sub``): the key that it signs with and its name. Its *public id* is derived from
that and is what everybody else calls it by. The hub sends nothing that an agent would execute: only the messages of
`agent.messages`. All text from agents is data.
"""

from gui.hub.listener import HubListener
from gui.hub.operate import Command, CommandRefusedError
from gui.hub.persistence import HubStore, Issued, Key
from gui.hub.roster import AgentView, Roster, public_id
from gui.hub.server import Hub, HubError, HubOptions

__all__ = [
    "AgentView",
    "Command",
    "CommandRefusedError",
    "Hub",
    "HubError",
    "HubListener",
    "HubOptions",
    "HubStore",
    "Issued",
    "Key",
    "Roster",
    "public_id",
]
