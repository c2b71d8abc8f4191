"""What a bearer token says of itself, without any check: that is the server's business. Pure."""

from __future__ import annotations

import base64
import binascii
import json


def claims(token: str) -> dict[str, object]:
    """The claims of a token (JWT); none if it is something else."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        found = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def expiry(token: str) -> float | None:
    """Until when it is valid (Unix seconds); None when it does not say."""
    ends = claims(token).get("exp")
    return float(ends) if isinstance(ends, int | float) and not isinstance(ends, bool) else None
