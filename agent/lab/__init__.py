"""Starts and stops a whole XRootD federation on one machine: real servers, shovelers, a bus and a collector.

Terms, used everywhere in this package:

- A *lab* is everything that one ``tally-agent lab up`` started. It lives in its *directory* (mode 0700), which holds
  the state file, the logs, the spools and the private broker, and in its *work directory*, where the XRootD servers
  live: they may run as another user, who must not see the rest, and their admin sockets need a short path.
- The *supervisor* is the one long-lived process of a lab. It holds the UDP sockets on which the shovelers listen (so
  that a shoveler can die without a datagram being lost), restarts every other process that dies, and takes orders on
  the *control socket*. Its children die with it.
- The *state file* (`agent.messages.LabState`) says what runs where. It is all that ``status``, ``down`` and other
  programs need, also after the supervisor was killed.
- *Names* are those of exchanges and queues. On a broker that the lab did not start every name carries its prefix, and
  all of them are deleted at the end.

What is in which file: `options` (what can be asked for), `layout` (where things are), `state` (the state file),
`catalogue` (the test files), `servers` (XRootD's side), `daemons` (ours), `broker` (a
private RabbitMQ), `names`, `sockets`, `processes`, `health`. On top of them `claim`, `children`, `keeper` and `faults`
do the supervisor's work, `supervisor` puts everything together, `progress` and `control` are the messages from and to
it, `remains` removes what a lab left, and `cli` is the command line.

Errors that the user can fix are `LabError`: one sentence, what failed and what to do.
"""
