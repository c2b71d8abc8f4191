"""The colours of reports by role, light and dark: those of the window's theme that a report needs."""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "surface": "#FFFFFF",
    "raised": "#F7F8FA",
    "border": "#DADEE3",
    "text": "#1A1E24",
    "text2": "#4A525E",
    "text3": "#5E6672",
    "ok": "#17713A",
    "warn": "#8A5600",
    "bad": "#BA1F2B",
    "mute": "#5B6370",
    "late": "#0B6E8A",
    "dup": "#8A3A9C",
    "grid": "#E6E9ED",
    "axis": "#5E6672",
    "requested": "#4A525E",
    "read": "#1D97D4",
    "recorded": "#3D4FC4",
}
DARK: Mapping[str, str] = {
    "surface": "#1A1E23",
    "raised": "#20252B",
    "border": "#31373F",
    "text": "#E7EAEE",
    "text2": "#B3BAC4",
    "text3": "#9AA3AF",
    "ok": "#56C288",
    "warn": "#E8B34B",
    "bad": "#FF8178",
    "mute": "#A3ABB6",
    "late": "#5CC3DD",
    "dup": "#D89AE6",
    "grid": "#282D34",
    "axis": "#9AA3AF",
    "requested": "#B3BAC4",
    "read": "#56B4E9",
    "recorded": "#A3AFFF",
}
STATUS: Mapping[str, tuple[str, str]] = {
    "pass": ("ok", "✓ pass"),
    "fail": ("bad", "✗ FAIL"),
    "inconclusive": ("warn", "! inconclusive"),
    "none": ("mute", "– no result"),
    "matched": ("ok", "✓ matched"),
    "wrong_bytes": ("bad", "≠ wrong bytes"),
    "missing": ("bad", "− missing"),
    "duplicate": ("dup", "⧉ duplicate"),
    "late": ("late", "◷ late"),
    "client_failed": ("mute", "⊘ client failed"),
    "not_waited": ("mute", "… not waited for"),
}
"""A state's role, and its sign with its word: a state is never told by colour alone."""


def style_sheet() -> str:
    """The style of a report page: follows the reader's light or dark, prints in light."""
    light = "".join(f"--{name}:{value};" for name, value in LIGHT.items())
    dark = "".join(f"--{name}:{value};" for name, value in DARK.items())
    roles = "".join(
        f".s-{name}{{stroke:var(--{name});fill:none;stroke-linejoin:round}}.f-{name}{{fill:var(--{name})}}"
        f".a-{name}{{fill:var(--{name});opacity:.2}}.c-{name}{{color:var(--{name})}}"
        for name in LIGHT
    )
    return (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}" + _RULES + roles
    )


_RULES = """
body{margin:0;background:var(--surface);color:var(--text);font:13px/20px system-ui,Inter,sans-serif}
main{max-width:1200px;margin:0 auto;padding:24px 16px 48px}
h1{font-size:20px;line-height:28px;font-weight:600;margin:0}
h2{font-size:13px;font-weight:600;margin:32px 0 8px}
p{margin:4px 0}
.sub,th,figcaption,summary{color:var(--text2)}
.zero,.none{color:var(--text3)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:100%}
th,td{padding:2px 8px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}
th{background:var(--raised);font-size:12px;font-weight:500;border-bottom-color:var(--border);vertical-align:bottom}
th.l,td.l{text-align:left}
td.t{white-space:normal;text-align:left;min-width:16em}
td.k,b{font-weight:600}
code,pre{font:12px/20px ui-monospace,"JetBrains Mono",monospace}
pre{background:var(--raised);padding:12px;overflow-x:auto;border-radius:6px;margin:0}
figure{margin:8px 0 16px}
svg{width:100%;max-width:900px;height:auto;font:11px system-ui,Inter,sans-serif}
@media print{main{max-width:none;padding:0}tr,figure{break-inside:avoid}}
"""
