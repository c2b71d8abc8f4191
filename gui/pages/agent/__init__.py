"""Agent: one client or server agent, with its last ten minutes, checks, log and history."""
