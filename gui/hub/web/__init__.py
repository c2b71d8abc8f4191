"""The hub's page for people with a browser, ``https://HUB/``: it shows, and changes nothing.

    GET /                 the page, or the way to sign in      GET /signin/start ─► the provider ─► GET /signin/back
    GET /runs             all runs                              GET /signout?key=…
    GET /page/VERSION/…   style, script, fonts                  /watch   (websocket) what the page shows, live
                                                                /signin  (websocket) a program's device flow

- `door` takes the requests for these addresses out of the hub's one port; all others are the gate's. `cookies` and
  `respond` write what a browser holds a page to: cookies that no script and no other site can use, a policy without
  anything inline, no frames.
- `board` has what is shown: fragments of HTML, written by the owner of the hub (`gui.runner.webstatus`) and sent whole
  or, over the websocket, where they differ. `watch` serves those websockets.
- `markup` writes HTML so that a text can be nothing but a text. `assets` are the files in ``resources/page``.

`websockets` reads no body of a request, so everything here is GET; what changes something carries a key of its own.
"""
