"""A zip file of a stranger as streams: nothing is unpacked to disk, nothing is read beyond its limits.

What an archive may hold is a short list of names, each once, in plain form; everything else (paths that lead elsewhere,
parts that are there twice, encryption, other compressions) is declined before a byte is unpacked. Every part is summed
up while it is read, whether or not its reader looks at it.
"""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gui.report.bundle import format as limits
from gui.report.bundle.format import PARTS, SIGNATURE, BundleError, PartSum

_CHUNK = 256 * 2**10
_DIRECTORY = 2**20
"""Bytes that the directory of an archive may take, which `zipfile` reads in one go."""
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError, OverflowError, ValueError)
"""What `zipfile` raises over bytes that make no sense; ValueError: names that are not text, places before the begin."""


class Archive:
    """An opened bundle. `sums` has what was found of each part that was read to its end."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self.name = name
        self.sums: dict[str, PartSum] = {}
        self._archive = archive
        self._infos = {info.filename: info for info in archive.infolist()}
        self._check(archive.infolist())

    def __contains__(self, part: str) -> bool:
        return part in self._infos

    def whole(self, part: str, limit: int) -> bytes:
        """A part that fits into memory. Raises BundleError."""
        content = io.BytesIO()
        for chunk in self._chunks(part):
            content.write(chunk)
            if content.tell() > limit:
                raise BundleError(f"{part} in {self.name} is larger than {limit:,} bytes.")
        return content.getvalue()

    def lines(self, part: str) -> Iterator[bytes]:
        """The lines of a part, without their ends. Raises BundleError."""
        rest = b""
        for chunk in self._chunks(part):
            *whole, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
            for line in whole:
                if len(line) > limits.MAX_LINE:
                    self._too_long(part)
                yield line
            if len(rest) > limits.MAX_LINE:
                self._too_long(part)
        if rest:
            yield rest

    def _too_long(self, part: str) -> None:
        raise BundleError(f"{part} in {self.name} has a line of more than {limits.MAX_LINE:,} bytes.")

    def _chunks(self, part: str) -> Iterator[bytes]:
        """The content of a part, summed up when all of it was read. `zipfile` checks its CRC at the end, and reads no
        further than the size that the directory claims."""
        digest = hashlib.sha256()
        size = lines = 0
        last = b"\n"
        with self._broken(part), self._archive.open(self._infos[part]) as file:
            while True:
                chunk = file.read(_CHUNK)
                if not chunk:
                    break
                digest.update(chunk)
                size += len(chunk)
                lines += chunk.count(b"\n")
                last = chunk[-1:]
                yield chunk
        self.sums[part] = PartSum(lines + (last != b"\n"), size, digest.hexdigest())

    @contextmanager
    def _broken(self, part: str) -> Iterator[None]:
        try:
            yield
        except _BROKEN as error:
            raise BundleError(f"{part} in {self.name} is damaged: {str(error).rstrip('.')}.") from None

    def _check(self, infos: list[zipfile.ZipInfo]) -> None:
        """Whether the directory of the archive is that of a bundle; reads none of its parts."""
        names = [info.filename for info in infos]
        for info in infos:
            # `zipfile` cuts names at a NUL, and so might take a part for another one.
            if info.filename not in (*PARTS, SIGNATURE) or info.orig_filename != info.filename:
                raise BundleError(f"{self.name} is no bundle: it has a part {info.orig_filename[:60]!r}.")
            if names.count(info.filename) > 1:
                raise BundleError(f"{self.name} is no bundle: it has {info.filename} more than once.")
            if info.flag_bits & 1:
                raise BundleError(f"{info.filename} in {self.name} is encrypted; bundles are not.")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BundleError(f"{info.filename} in {self.name} is compressed in a way that bundles are not.")
            if info.file_size > limits.RATIO_FROM and info.file_size > limits.MAX_RATIO * max(1, info.compress_size):
                raise BundleError(
                    f"{info.filename} in {self.name} claims to unpack to {info.file_size:,} bytes, more than "
                    f"{limits.MAX_RATIO} times its size; no bundle does."
                )
        lacking = [part for part in PARTS if part not in names]
        if lacking:
            raise BundleError(f"{self.name} is no bundle: it has no {lacking[0]}.")
        size = sum(info.file_size for info in infos)
        if size > limits.MAX_UNPACKED:
            raise BundleError(f"{self.name} claims to unpack to {size:,} bytes; no bundle does.")


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The bundle at `path`. Raises BundleError with a sentence when it is none, or cannot be read."""
    name = shown(path.name)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{name} is no file; name the bundle of a run (.tally.zip).")
        if status.st_size > limits.MAX_FILE:
            raise BundleError(f"{name} is larger than {limits.MAX_FILE:,} bytes; no bundle is.")
        with path.open("rb") as file:
            yield Archive(_opened(file, name), name)
    except OSError as error:
        raise BundleError(f"{name} cannot be read: {error.strerror or error}.") from None


def shown(name: str) -> str:
    """The name of a file as it can be shown in one line."""
    return "".join(sign if sign.isprintable() else "·" for sign in name)


class _Bounded:
    """A file that declines to be read in one go by who believes what a stranger's directory says of its size."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        wanted = size if 0 <= size <= _DIRECTORY else _DIRECTORY + 1
        content = self._file.read(wanted)
        if len(content) > _DIRECTORY:
            raise zipfile.BadZipFile(f"it has a directory of more than {_DIRECTORY:,} bytes")
        return content


def _opened(file: IO[bytes], name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(_Bounded(file))
    except _BROKEN as error:
        raise BundleError(f"{name} is no bundle, or is damaged: {str(error).rstrip('.')}.") from None
