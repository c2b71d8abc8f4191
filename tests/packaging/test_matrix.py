"""What the matrix refuses, each in one sentence. What it does takes root, a network and half an hour."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

MATRIX = Path(__file__).resolve().parents[2] / "packaging" / "matrix.sh"


@pytest.mark.parametrize(
    ("arguments", "uid", "code", "said"),
    [
        ([], 65534, 1, "a chroot needs root; run: sudo make matrix"),
        (["13", "14"], 0, 2, "Debian 14 is not supported: choose 12 or 13"),
        ([], 0, 1, "mmdebstrap is missing; install it with: apt-get install mmdebstrap util-linux"),
    ],
)
def test_refusals(arguments: list[str], uid: int, code: int, said: str, tmp_path: Path) -> None:
    """On a machine that has nothing but this, and whose `id` says who we are."""
    (tmp_path / "id").write_text(f"#!/bin/sh\necho {uid}\n")
    (tmp_path / "id").chmod(0o755)
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    done = subprocess.run(
        ["/bin/bash", MATRIX, *arguments], env={"PATH": str(tmp_path)}, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, f"tally matrix: {said}\n")
