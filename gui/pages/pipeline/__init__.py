"""Pipeline: servers, shovelers, broker, collectors, database: what each does, where records wait, and drills."""
