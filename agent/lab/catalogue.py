"""The test files of a lab: paths, sizes and content, all determined by one seed, the same on every server."""

from __future__ import annotations

import math
import random
from pathlib import Path

from agent.lab.options import LabOptions
from agent.messages import LabFile
from agent.workloads.known import known_bytes

READ_PATH = "/store/test"
"""Where the servers have the test files, read-only."""
WRITE_PATH = "/store/write"
"""Where clients may write; each server has its own."""

_BLOCK = 1024 * 1024


def catalogue(options: LabOptions) -> list[LabFile]:
    """Path and size of each file, in name order.

    Small sizes are spread evenly on a logarithmic scale, so that each power of two has its share and the mean stays
    small; the shortest and the longest possible are always among them. Large ones are spread over the list.
    """
    dice = random.Random(options.seed)
    small = options.files - options.large_files
    sizes = [round(math.exp(dice.uniform(0, math.log(options.file_bytes)))) for _ in range(small)]
    sizes[:2] = [1, options.file_bytes][:small]
    for n in range(options.large_files):
        large = dice.randint(max(1, options.large_bytes // 2), options.large_bytes)
        sizes.insert((n + 1) * options.files // (options.large_files + 1), large)
    width = max(4, len(str(len(sizes))))
    return [LabFile(f"{READ_PATH}/f{n:0{width}d}", size) for n, size in enumerate(sizes, 1)]


def make_files(files: list[LabFile], directory: Path, seed: int) -> None:
    """Write them, read-only, into a new `directory`. Raises OSError, for example when the disk is full."""
    directory.mkdir()
    for file in files:
        path = directory / Path(file.path).name
        with path.open("wb") as out:
            for start in range(0, file.size, _BLOCK):
                out.write(known_bytes(str(seed), file.path, start, min(_BLOCK, file.size - start)))
        path.chmod(0o444)
    directory.chmod(0o555)
