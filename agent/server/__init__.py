"""Role server: runs beside an XRootD server, and reports its state and what its monitoring line will send.

configfile  a configuration as xrootd reads it: directives with file and line, one reading for each way through its ifs
monitor     the grammar of the monitoring directives
lint        a configuration's text → findings: which records it will not send, and what prevents xrootd from starting
mend        the recommended line
check       ``tally-agent check-config FILE``, with all files that the configuration continues in
surround    what the machine shows: the running xrootd and its file, whether it answers, MTU, datagrams dropped
role        the agent in session: a `ServerReport` at the start, every minute, when something changes, and when asked
"""

from agent.server.role import ServerRole

__all__ = ["ServerRole"]
