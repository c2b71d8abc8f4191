"""Making the requests: what is read where, by which process, and what came of it.

A *job* (one repeat of one test) has a `pool` of worker processes, fresh for that job, because every session tag keeps
its own connection for as long as its process lives. The agent tells the workers what to do in `frames` through their
standard input, and hears of their state through their standard output. What they *did* does not travel this way: each
worker writes its journal lines itself, straight to the file, before and after each request.

    plan      request → steps (read here, pause, write there): arithmetic, the same for the same seed
    access    steps → XRootD calls, each with a time limit; what was asked and what came
    answers   which calls take too long, and which servers do not answer: arithmetic
    knock     does a server answer at all, asked beside the XRootD client
    worker    the process: one thread per slot, each with its queue of requests, and lanes for servers that hang
    pool      the agent's side of the workers: start, feed, stop, and notice when one dies
    frames    the messages between pool and worker
    probe     preflight: does a server answer, what files has it (run in a process of its own as well)

XRootD is imported in such processes only, so that nothing that it does can hold up the agent's heartbeat.
"""
