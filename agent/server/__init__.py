"""Role server: runs beside XRootD servers, and reports their state and what their monitoring lines will send.

configfile  a configuration as xrootd reads it: directives with file and line, one reading for each way through its ifs
monitor     the grammar of the monitoring directives
lint        a configuration's text → findings: which records it will not send, and what prevents xrootd from starting
mend        the recommended line
check       ``tally-agent check-config FILE``, with all files that the configuration continues in
surround    what the machine shows: the running xrootds and their files, whether they answer, MTU, datagrams dropped
statistics  a server's own counters and the throughput that they make (pure); summaries: those that servers send
daemons     the shoveler and the collector beside it: health and counts
role        the agent in session, beside any number of servers: a `ServerReport` of each at the start, every minute,
            when something changes, and when asked
"""

from agent.server.role import Beside, ServerRole

__all__ = ["Beside", "ServerRole"]
