"""People's sign-in: who a provider (GitHub, or any OIDC issuer) says somebody is, and what this hub makes of it.

    program ─ /signin (websocket) ─► device ─┐                       ┌─ GitHub
    browser ─ /signin/start, /signin/back ─► code ─┴─► provider ─► fetch ─┤
                                      │                              └─ an OIDC issuer
                                 allow-list ─► people ─► a personal key, or nobody is let in

- A *person* is what a provider says: a subject that is never given to another, a login, groups. `allow` decides, pure,
  whether the hub's allow-list names that person, and as what: operator or observer.
- A *sign-in* is one person at one program or browser. It has a *personal key* of the hub, good for at most 12 hours,
  which `people` renews while the sign-in is used, the provider confirms the person, and the list still names them.
- `waiting` has the sign-ins under way: bounded, each good once, pure. `oidc` and `github` speak to the providers, which
  `fetch` reaches; both block, and run in threads. `seal` keeps the provider's tokens unreadable in the database.
- `messages` is what a program and the hub say on ``/signin``; `device` serves it.

The provider's tokens never leave the hub, and the program's key never reaches the provider.
"""
