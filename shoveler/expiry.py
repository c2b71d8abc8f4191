"""When the token in a token file expires. That it changed is the bus's business (`Publisher.token_changed`)."""

from __future__ import annotations

import math
from pathlib import Path

import jwt


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
    try:
        exp = jwt.decode(token, options={"verify_signature": False}).get("exp")
        seconds = float(exp) if isinstance(exp, int | float) and not isinstance(exp, bool) else math.nan
    except (jwt.PyJWTError, RecursionError, OverflowError):  # the last two from deep nesting and huge numbers
        return None
    return seconds if math.isfinite(seconds) else None
