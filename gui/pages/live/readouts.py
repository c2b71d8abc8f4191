"""The head of a run: its progress bar, its figures, and the strip of tests."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from gui.models import figures
from gui.models.generators import clients_words
from gui.runner.progress import RunProgress
from gui.widgets.parts import Elided, Readout, ReadoutBar, label, line, plain_tip
from gui.widgets.steps import StepStrip


class Readouts(QWidget):
    """See the module. `show_progress` paints a snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.progress_text = Elided("", "caption", least=160)
        self.progress_count = label("", "caption")
        self.progress_eta = label("", "caption")
        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setAccessibleName("Progress of this repeat")
        self.requested = Readout("requested")
        self.read = Readout("read")
        self.recorded = Readout("recorded")
        self.gap = Readout("gap")
        self.faults = Readout("wrong · duplicate · failed")
        self.rate = Readout("rate achieved / offered")
        self.bar = self._make_bar()
        self.steps = StepStrip()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.bar)
        column.addWidget(self.steps)

    def _make_bar(self) -> ReadoutBar:
        readouts = QHBoxLayout()
        readouts.setContentsMargins(0, 0, 0, 8)
        readouts.setSpacing(0)
        readouts.addWidget(self._make_progress(), 1000)
        # What to hide when there is no room, in this order; the progress bar also counts `requested`.
        spare: list[tuple[QWidget, ...]] = [(self.progress_count,)]
        for readout in (self.requested, self.read, self.recorded, self.gap, self.faults, self.rate):
            divider = line("vertical")
            readouts.addWidget(divider)
            readouts.addWidget(readout)
            if readout in (self.rate, self.requested):
                spare.insert(1, (readout, divider))
        readouts.addStretch(1)
        return ReadoutBar(readouts, spare)

    def _make_progress(self) -> QWidget:
        captions = QHBoxLayout()
        captions.addWidget(self.progress_text)
        captions.addStretch(1)
        captions.addWidget(self.progress_count)
        captions.addStretch(1)
        captions.addWidget(self.progress_eta)
        progress = QVBoxLayout()
        progress.setContentsMargins(16, 0, 16, 0)
        progress.setSpacing(8)
        progress.addLayout(captions)
        progress.addWidget(self.progress_bar)
        progress.addStretch(1)
        holder = QWidget()
        holder.setMaximumWidth(456)
        holder.setLayout(progress)
        return holder

    def show_progress(self, p: RunProgress) -> None:
        """Paint this snapshot."""
        self.progress_text.setText(_where(p))
        self.progress_count.setText(f"{figures.count(p.requested)} / {figures.count(p.total)}" if p.total else "")
        self.progress_eta.setText(f"ETA {figures.duration(p.eta)}" if p.eta else "")
        self.progress_bar.setUpdatesEnabled(False)  # or it would paint at once, and the whole window with it
        self.progress_bar.setMaximum(max(1, p.total))
        self.progress_bar.setValue(p.requested)
        self.progress_bar.setUpdatesEnabled(True)
        counts = ((self.requested, p.requested), (self.read, p.read), (self.recorded, p.recorded))
        for readout, value in counts:
            readout.set(figures.count(value if p.asked else None))
        oldest = f"oldest {figures.duration(p.gap_oldest)}" if p.gap_oldest else ""
        self.gap.set(figures.count(p.gap if p.asked else None), oldest)
        faults = (p.wrong, p.duplicate, p.failed)
        self.faults.set(" · ".join(figures.count(value) for value in faults) if p.asked else figures.UNKNOWN)
        offered = figures.rate(p.offered_rate)
        self.rate.set(figures.rate(p.achieved_rate), "" if p.offered_rate is None else f"/ {offered} per s")
        self.rate.setToolTip(plain_tip(clients_words(p.clients)))
        limited = any(client.busy for client in p.clients) and p.phase == "round"
        self.rate.set_icon(*(("warn", "warn") if limited else ("", "")))
        several = sum(len(step.repeats) for step in p.steps) > 1
        self.steps.setVisible(several)
        if several:
            left = f", ETA {figures.duration(p.run_eta)}" if p.run_eta else ""
            self.steps.show_steps(
                p.steps,
                min(1.0, p.requested / p.total) if p.total else 0.0,
                (f"all tests {p.run_requested:,}", f"of {p.run_total:,}{left}"),
            )


def _where(p: RunProgress) -> str:
    """Test, repeat and round; before a repeat has begun there is none of them."""
    if not p.repeat:
        return "before the first request"
    test = f"test {p.test}/{p.tests} · " if p.tests > 1 else ""
    return f"{test}repeat {p.repeat}/{p.repeats} · round {p.round}/{p.rounds}"
