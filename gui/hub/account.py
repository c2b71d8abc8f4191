"""Who sits at this machine, for what is kept of who did what."""

from __future__ import annotations

import getpass


def account() -> str:
    """The name of the account that this program runs as."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return "operator"


def operator_here() -> str:
    """Who acts when nobody else is named: whoever may start programs here."""
    return f"the operator of this machine, account {account()}"
