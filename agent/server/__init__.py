"""Role server: stands beside an XRootD server, says how it is and what its monitoring line will do.

lint      a configuration's text → findings: which records the line will not send, and the line as it should be
check     ``tally-agent check-config FILE``
surround  what the machine says: the running xrootd and its file, does it answer, MTU, datagrams the kernel dropped
role      the agent in session: a `ServerReport` at the start, every minute, when something changes, and when asked
"""

from agent.server.role import ServerRole

__all__ = ["ServerRole"]
