"""What the hub's page shows (``https://HUB/``): the run under way, clients, servers and results of an open workspace.

    workspace ─ view (values) ─► render, plot (HTML) ─► the hub's board ─► browsers, see `gui.hub.web`

- `history` reads the runs from the store, each once for each of its scorings.
- `view` says what is shown, as immutable values; `render` and `plot` write it as HTML, a fragment for each card. Both
  are pure. A browser without a script reads the same fragments as one with it, so there is one way to show a thing.
- `publisher` keeps the board up to date while somebody looks, and costs nothing otherwise.

Nothing here changes anything. All texts from agents, servers and people are put in as text.
"""
