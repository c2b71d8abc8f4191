"""The plots as a picture. The figures behind them: `gui.models.series.PlotTable`."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QPoint, QSize
from PySide6.QtGui import QPixmap
from PySide6.QtSvg import QSvgGenerator

from gui.pages.live.graphs import Graphs

EXPORTS = {"PNG picture (*.png)": "png", "SVG drawing (*.svg)": "svg", "CSV table (*.csv)": "csv"}
SHARP = 2
"""A picture has this many times the resolution of the screen."""


def save(graphs: Graphs, path: Path) -> None:
    """Write a picture of the plots, or a drawing if the file's name ends in .svg. Raises OSError."""
    if path.suffix.lower() == ".svg":
        _save_drawing(graphs, path)
    else:
        _save_picture(graphs, path)


def _save_drawing(graphs: Graphs, path: Path) -> None:
    path.write_bytes(b"")  # Qt does not say why a file cannot be written
    drawing = QSvgGenerator()
    drawing.setFileName(str(path))
    drawing.setSize(graphs.size())
    drawing.setViewBox(graphs.rect())
    drawing.setTitle("Tally, live")
    graphs.render(drawing, QPoint(0, 0))


def _save_picture(graphs: Graphs, path: Path) -> None:
    path.write_bytes(b"")
    picture = QPixmap(QSize(graphs.width() * SHARP, graphs.height() * SHARP))
    picture.setDevicePixelRatio(SHARP)
    graphs.render(picture, QPoint(0, 0))
    if not picture.save(str(path), "PNG"):
        raise OSError(f"the picture could not be made ({picture.width()} × {picture.height()})")
