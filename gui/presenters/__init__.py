"""Presenters: what each page of the window shows of the open workspace, and what is done when somebody clicks there.

A presenter is given its page as a small protocol and what is around it as a `desk.Desk`. There is no Qt here, so each
can be tested without a screen. `gui.app.parts` connects a page of `gui.pages` with its presenter.

- `fleet`: agents, servers, invitations. `plans`: the federation that a plan can use, commands to copy.
- `live`: progress and stages. `runs`: lists, results, evidence, scoring again, reports.
- `running`: the one run that was started from this window.
"""
