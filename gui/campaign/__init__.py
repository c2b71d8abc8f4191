"""The decisions of a campaign: who requests what, when a round or repeat is over, when to stop waiting.

Everything here is pure: values in, values out, the time is an argument. `gui.runner` carries the decisions out.

- `plan`, `planfile`: what a plan declares; reading and writing it as TOML.
- `draw`: which files a round asks of each server (seeded), and `assign`: which agent and slot asks for each.
- `tags`: which session tag asks for which path.
- `mix`: which workload a request belongs to; `doors`: over which protocols a test asks its servers.
- `selection`: which servers and clients a plan selects, and `choices`: how people type that. `around`: what stands in
  the way of a plan here. `preview`: what a plan will do, in figures, and `effects`: what its faults will do.
- `repeat`: one repeat as a state machine; events in, commands out. `settle`: when waiting for monitoring is over.
- `presets`: plans included in Tally.
"""

from gui.campaign.plan import Choice, Fault, File, Files, Labelled, Plan, Test, Who
from gui.campaign.tags import TagAllocator

__all__ = ["Choice", "Fault", "File", "Files", "Labelled", "Plan", "TagAllocator", "Test", "Who"]
