"""Making the requests: what is read from where, by which process, and with what result.

A *job* (one repeat of one test) has a `pool` of worker processes, started for that job, because every session tag keeps
its own connection for as long as its process lives. The agent sends `frames` with work to the workers' standard input
and reads their state from their standard output. What they *did* does not go this way: each worker writes its journal
lines itself, directly to the file, before and after each request.

    plan      request → steps (read here, pause, write there): arithmetic, the same for the same seed
    clients   which client makes a request: XRootD's own, or HTTP
    access    steps → XRootD calls, each with a time limit; what was requested and what came
    http      a request → HTTP exchanges; `curl` makes one exchange, `multipart` and `webdav` read answers (pure)
    address   the scheme, host and port of a request: arithmetic
    credentials   whom to trust; `authorities` names certificates as OpenSSL does (pure)
    outcome   what became of a request, whichever client made it
    answers   which calls take too long, and which servers do not answer: arithmetic
    knock     does a server answer at all, asked without a client library
    worker    the process: one thread per slot, each with its queue of requests, and lanes for servers that hang
    pool      the agent's side of the workers: start, feed, stop, and notice when one dies
    frames    the messages between pool and worker
    probe     preflight: does a server answer, which files does it have (also in a process of its own)
    inquiry   version and counters of many servers at once, for a server agent (also in a process of its own)

XRootD and libcurl are imported only in such processes, so that nothing they do can delay the agent's heartbeat.
"""
