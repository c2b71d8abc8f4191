from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.lab.catalogue import catalogue, make_files
from agent.lab.options import LabOptions


def options(**wishes: Any) -> LabOptions:
    return LabOptions(directory="/nowhere", **wishes)


def test_the_seed_fixes_every_size() -> None:
    assert catalogue(options(seed=7)) == catalogue(options(seed=7))
    assert catalogue(options(seed=7)) != catalogue(options(seed=8))


def test_sizes_run_from_one_byte_to_the_longest_and_some_are_large() -> None:
    files = catalogue(options(files=200, file_bytes=262_144, large_files=4, large_bytes=4_194_304))
    sizes = [file.size for file in files]
    assert len(sizes) == 200
    small = [size for size in sizes if size <= 262_144]
    assert min(small) == 1
    assert max(small) == 262_144
    assert [2_097_152 <= size <= 4_194_304 for size in sizes if size > 262_144] == [True] * 4
    # Evenly on a logarithmic scale: a quarter of the files is shorter than the fourth root of the longest.
    assert 30 <= sum(size <= 262_144**0.25 for size in small) <= 70


def test_paths_are_distinct_and_in_name_order() -> None:
    paths = [file.path for file in catalogue(options(files=12_345, large_files=0))]
    assert paths[0] == "/store/test/f00001"
    assert paths == sorted(set(paths))
    assert len(paths) == 12_345


def test_a_single_file_is_possible() -> None:
    assert [file.size for file in catalogue(options(files=1, large_files=0))] == [1]
    assert [file.size for file in catalogue(options(files=1, large_files=1, large_bytes=10))] != []


def test_files_have_their_sizes_and_content_of_their_own_and_cannot_be_changed(tmp_path: Path) -> None:
    files = catalogue(options(files=20, large_files=1, large_bytes=3_000_000))
    make_files(files, tmp_path / "a", seed=1)
    make_files(files, tmp_path / "b", seed=1)
    contents = [(tmp_path / "a" / Path(file.path).name).read_bytes() for file in files]
    assert [len(content) for content in contents] == [file.size for file in files]
    assert contents == [(tmp_path / "b" / Path(file.path).name).read_bytes() for file in files]
    assert len({content for content in contents if len(content) > 8}) == sum(file.size > 8 for file in files)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o555
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a").iterdir()} == {0o444}
