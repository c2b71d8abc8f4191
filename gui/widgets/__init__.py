"""What pages are made of. Importing anything of it guards what our classes override (see `gui.models.overrides`)."""

from gui.models.overrides import guard_overrides

guard_overrides()
