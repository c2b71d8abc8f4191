import os
import subprocess

import pytest

from shoveler.spool.errors import SpoolError, SpoolLockedError
from shoveler.spool.lock import SpoolLock


def test_a_second_shoveler_is_kept_out(tmp_path):
    lock = SpoolLock(tmp_path)
    with pytest.raises(
        SpoolLockedError, match=rf"another tally-shoveler \(process {os.getpid()}\) uses the spool {tmp_path}"
    ):
        SpoolLock(tmp_path)
    lock.close()
    SpoolLock(tmp_path).close()


def test_the_lock_is_waited_for(tmp_path):
    lock = SpoolLock(tmp_path)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            lock.close()

    SpoolLock(tmp_path, wait=60, sleep=sleep).close()
    assert len(slept) == 3


def test_the_lock_lives_as_long_as_any_process_that_inherited_it(tmp_path):
    lock = SpoolLock(tmp_path)
    with subprocess.Popen(["sleep", "60"], pass_fds=[lock.fd]) as child:
        lock.close()
        with pytest.raises(SpoolLockedError):
            SpoolLock(tmp_path)
        child.kill()
        child.wait()
        SpoolLock(tmp_path).close()


def test_a_directory_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SpoolError, match="cannot use the spool directory"):
        SpoolLock(tmp_path / "file")
