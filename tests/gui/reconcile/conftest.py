from tests.gui.workspaces import any_world, postgres, postgres_server, store, world

__all__ = ["any_world", "postgres", "postgres_server", "store", "world"]
