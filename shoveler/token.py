"""When the token in a token file expires. That it changed is the bus's business (`Publisher.token_changed`)."""

from __future__ import annotations

import base64
import binascii
import json
import math
from pathlib import Path


def token_expiry(path: Path | None) -> float | None:
    """Unix seconds at which the token in the file expires; None when there is no file, or it holds no JWT with one."""
    if path is None:
        return None
    try:
        return expiry(path.read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return None  # the bus says what is wrong with it, when it next needs it


def expiry(token: str) -> float | None:
    """``exp`` of a JWT, whose signature is the broker's business and not looked at; None when there is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        exp = claims.get("exp") if isinstance(claims, dict) else None
        seconds = float(exp) if isinstance(exp, int | float) and not isinstance(exp, bool) else math.nan
    except (ValueError, binascii.Error, RecursionError, OverflowError):  # the last two from deep nesting, huge numbers
        return None
    return seconds if math.isfinite(seconds) else None
