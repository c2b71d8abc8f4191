"""Files that come with Tally: plan presets, sample configurations, themes, icons, a font for documents. Texts are read
through here."""

from __future__ import annotations

from importlib.resources import files


def read_text(path: str) -> str:
    """The text of a file in here, such as ``presets/osdf-2021.toml``. FileNotFoundError when there is none."""
    return files(__name__).joinpath(*path.split("/")).read_text(encoding="utf-8")
