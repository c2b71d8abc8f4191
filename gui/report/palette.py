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
main{max-width:1240px;margin:0 auto;padding:16px 16px 48px}
h1{font-size:20px;line-height:28px;font-weight:600;margin:0;overflow-wrap:anywhere}
h2{font-size:13px;font-weight:600;margin:24px 0 8px}
h3{font-size:12px;font-weight:500;margin:16px 0 4px}
p{margin:4px 0;overflow-wrap:anywhere}
[hidden]{display:none!important}
.sub,th,figcaption,h3{color:var(--text2)}
.wide{overflow-x:auto;margin-bottom:8px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:100%}
th,td{padding:2px 8px;text-align:right;border-bottom:1px solid var(--grid)}
td{white-space:nowrap;unicode-bidi:isolate;vertical-align:top}
th{background:var(--raised);font-size:12px;line-height:16px;font-weight:500;border-bottom-color:var(--border)}
th{vertical-align:bottom}
th.l,td.l{text-align:left}
td code,td span{display:block;width:max-content;max-width:30em;white-space:normal;overflow-wrap:anywhere}
td.t{white-space:normal;min-width:16em;overflow-wrap:anywhere}
td.t span{width:auto;max-width:none}
td.k,b{font-weight:600}
code,pre{font:12px/18px ui-monospace,"JetBrains Mono",monospace}
pre{background:var(--raised);padding:12px;border-radius:6px;margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
input{font:inherit;color:inherit;background:var(--surface);border:1px solid var(--border);border-radius:4px}
input{padding:4px 8px;width:24em}
figure{margin:8px 0 16px}
.group figure{display:inline-block;vertical-align:top;width:49%;margin:0 1% 8px 0}
svg{width:100%;max-width:900px;height:auto;font:11px system-ui,Inter,sans-serif}
@page{size:A4 landscape;margin:10mm}
@media print{
body{font-size:8px;line-height:11px}
main{max-width:none;padding:0}
h1{font-size:14px;line-height:18px}
h2,h3{font-size:10px;margin:10px 0 4px;break-after:avoid}
.wide{overflow:visible}
th,td{padding:1px 3px}
th,code,pre{font-size:7px;line-height:9px}
td.t{min-width:9em}
td code,td span{max-width:18em}
tr,figure{break-inside:avoid}
figure,.group figure{display:inline-block;vertical-align:top;width:48%;margin:4px 1% 8px 0}
#search{display:none}
}
"""
