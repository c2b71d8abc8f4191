"""Reconciling: comparing what clients requested and read with what monitoring recorded, request by request.

    entry = score(store, repeat_id, "settle", now)     # verdicts of a repeat, stored; 1 M requests take seconds
    rescore_late(store, now)                           # repeats that got records since; both figures stay
    row = figures(spec, entries, places(store, entries))   # the published columns of a test, and pass or fail
    LiveCounts(store, repeat_id).look(now)             # while it runs: requested, read, recorded, the gap and its age
    by_server(store, scoring_ids)                      # the same, for each server
    ladder_of(store, request_id)                       # at which stage one missing record was lost
    Courses(store, run_id).of(request_id)              # all that is known of one request, whatever its verdict

Terms: a request *owns* the group of all records with its (tag, path). *Asked* are the bytes that the server should have
counted, *got* the bytes that the client received, *recorded* the bytes in the records. docs/results.md has the rules.

- `verdicts`: the rule, pure. `scoring`: the join in SQL. `figures`: a test over its repeats, pure.
- `interval`: how certain a success percentage is and whether two differ, pure; `clusters`: where losses were, for it.
  `standing`: the outcome of a run by these figures, pure.
- `ladder`: where a record was lost; `took`: what took the datagrams of a gap; `facts`: their values. All pure.
- `speed`: how long the requests of a test took, and whether two tests differ. `timing`: the same over time.
- `breakdown`: what is not matched, by cause, server, time and error.
- `course`: one request stage by stage, for display.
- `evidence`: what the daemons reported, combined; `trail`: what is kept of it; `gather`: reads it from the database.
- `live`: incremental counts. `rollup`: figures by server; `shares`: by workload, with the phases of requests.
- `behaviours`: known ways in which servers count differently.
"""

from gui.reconcile.behaviours import sentence
from gui.reconcile.breakdown import ODD_KINDS, Breakdown, Loss, Stage, break_down
from gui.reconcile.clusters import places
from gui.reconcile.course import Course, Courses, CourseStage, StageState, Strip, Sure
from gui.reconcile.facts import Miss, SequenceGap
from gui.reconcile.figures import (
    Conclusion,
    TestFigures,
    achieved_rate,
    conclusion_of_run,
    figures,
    hundredths,
)
from gui.reconcile.foreign import ForeignFault, foreign_faults, still_on
from gui.reconcile.injected import injected_losses
from gui.reconcile.interval import (
    Difference,
    Pattern,
    Share,
    chance,
    chance_of_means,
    difference,
    interval,
    share_of,
    unit,
)
from gui.reconcile.ladder import Known, Ladder, Rung, climb, injected_first
from gui.reconcile.live import LiveCounts, LiveServer, LiveTotals
from gui.reconcile.rollup import ServerFigures, by_server, newest, restate, run_figures
from gui.reconcile.scoring import ladder_of, rescore_late, score
from gui.reconcile.shares import ShareFigures, by_share
from gui.reconcile.speed import Speed, chance_of_percentile, read_speed
from gui.reconcile.standing import STATES, Standing, standing, summary
from gui.reconcile.timing import Latency, Moment, ServerTiming, Timing, time_test
from gui.reconcile.trail import step_of
from gui.reconcile.verdicts import Asked, Judged, Recorded, judge

__all__ = [
    "ODD_KINDS",
    "STATES",
    "Asked",
    "Breakdown",
    "Conclusion",
    "Course",
    "CourseStage",
    "Courses",
    "Difference",
    "ForeignFault",
    "Judged",
    "Known",
    "Ladder",
    "Latency",
    "LiveCounts",
    "LiveServer",
    "LiveTotals",
    "Loss",
    "Miss",
    "Moment",
    "Pattern",
    "Recorded",
    "Rung",
    "SequenceGap",
    "ServerFigures",
    "ServerTiming",
    "Share",
    "ShareFigures",
    "Speed",
    "Stage",
    "StageState",
    "Standing",
    "Strip",
    "Sure",
    "TestFigures",
    "Timing",
    "achieved_rate",
    "break_down",
    "by_server",
    "by_share",
    "chance",
    "chance_of_means",
    "chance_of_percentile",
    "climb",
    "conclusion_of_run",
    "difference",
    "figures",
    "foreign_faults",
    "hundredths",
    "injected_first",
    "injected_losses",
    "interval",
    "judge",
    "ladder_of",
    "newest",
    "places",
    "read_speed",
    "rescore_late",
    "restate",
    "run_figures",
    "score",
    "sentence",
    "share_of",
    "standing",
    "step_of",
    "still_on",
    "summary",
    "time_test",
    "unit",
]
