"""The spool: taken datagrams on disk, from the moment they were read until the bus has confirmed them.

One SQLite file ``spool.db`` (WAL) in the spool directory, with a random id made with the file. Terms:

- A *generation* is everything that one start of the receiver takes. It has its own random word, kept in the file with
  the SEQ it begins at, and the id of a datagram is ``WORD:SEQ``. So a file that goes back in time (a restored copy, a
  snapshot, pages lost in a power cut) never gives a used id to another datagram: what is taken after that belongs to
  another generation, while what is sent again keeps its id.
- A datagram is *taken* when the transaction with it commits. Every taken datagram has a *SEQ*, counted up by one and
  never used again in this file, not even after everything was removed (AUTOINCREMENT).
- A *block* is the datagrams of one commit, in order of arrival, in one row. Rows of single datagrams were tried: with
  256 datagrams of 900 B to a commit they cost 5.1 µs of CPU each to write and 1.9 µs to remove, in blocks 2.2 and 0.04.
- *Confirmed* datagrams are removed, block by block from the oldest, and counted in the same transaction. Therefore at
  any moment, whatever crashed: received = confirmed + what is in the spool, in total and for each sender.

Small transactions are appended to a file beside it, the *tail* (`shoveler.spool.tail`), and are written to the database
together, every `_TAIL_AGE` seconds or when there are many. A datagram is taken when either has it.

- `values` are what is stored and read, pure; `accounts` is the arithmetic of the books; `blocks` how datagrams are
  stored in a row; `format` the tables, and how older formats are converted.
- `writer.Spool` is the only writer, in the receiver process; `lock` ensures this. Its `room` keeps the WAL and the file
  small, and continues when the disk is full, with the help of the `reserve`. Threads of the `checkpointer` wait for the
  disk, so that the socket does not.
- `reader.SpoolReader` is for all others, and never makes the writer wait.

This package imports none of its parts, so that pure modules (`shoveler.intake`) can import `values` without any I/O.
"""
