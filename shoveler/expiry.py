"""When the token in a token file expires. The bus notices when it changes (`Publisher.token_changed`)."""

from __future__ import annotations

import math
from pathlib import Path

import jwt


def token_expiry(path: Path | None) -> float | None:
    """Unix seconds at which the token in the file expires; None when there is no file or no JWT with an expiry in
    it."""
    if path is None:
        return None
    try:
        return expiry(path.read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return None  # the bus reports what is wrong with it when it next needs it


def expiry(token: str) -> float | None:
    """``exp`` of a JWT, without checking its signature, which the broker does; None when there is none."""
    try:
        exp = jwt.decode(token, options={"verify_signature": False}).get("exp")
        seconds = float(exp) if isinstance(exp, int | float) and not isinstance(exp, bool) else math.nan
    except (jwt.PyJWTError, RecursionError, OverflowError):  # the last two from deep nesting and huge numbers
        return None
    return seconds if math.isfinite(seconds) else None
