"""Settings: the bus, the hub, keys and invitations, the database, appearance and shortcuts."""
