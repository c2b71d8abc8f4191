"""The hub: agents and operators join it and exchange messages with it.

    agent ── Register ─► /register ─► one-time id ─► /agent ─► session ⇄ Journal, Sample … / StartRepeat, Round …

- `tokens` (is this bearer token valid?) and `admission` (may it join now?) decide, without I/O; `keys` creates, rotates
  and revokes the keys that tokens are signed with. An `AdmissionError` is an HTTP status with one sentence. `gate` asks
  them, for each connection and each registration; `keyring` holds the keys that the hub knows.
- `session` is one agent's session and `sessions` all of them; `operate` is one operator's, `operators` all of theirs,
  and `feed` what these are told. `limits`: no wait on a peer is without an end. `pages`: what a plain GET gets.
- `server.Hub` listens, owns these parts and all tasks, and is the interface for its owner, which it calls through
  `listener`.
- `commits` groups what must be on disk before it is acknowledged: spent tokens and journal lines. The store is reached
  only through the protocols of `persistence`, always in a thread: the hub never waits for it in its event loop.
- `holds` is what operators decide about single agents: drained, or disconnected for a time.
- `audit` is the record of who came and went.
- `roster` lists the agents as immutable views. `certificate` is the hub's TLS key and its pin.

An agent's *identity* is (``kid``, ``sub``): the key that it signs with and its name. Its *public id* is derived from
that and used everywhere else. The hub sends nothing that an agent would execute, only the messages of
`agent.messages`. All text from agents is data.
"""

from gui.hub.listener import HubListener
from gui.hub.operate import Command, CommandRefusedError
from gui.hub.persistence import Hold, HubStore, Issued, Key
from gui.hub.roster import AgentView, Pinged, Roster, public_id
from gui.hub.server import Hub, HubError, HubOptions

__all__ = [
    "AgentView",
    "Command",
    "CommandRefusedError",
    "Hold",
    "Hub",
    "HubError",
    "HubListener",
    "HubOptions",
    "HubStore",
    "Issued",
    "Key",
    "Pinged",
    "Roster",
    "public_id",
]
