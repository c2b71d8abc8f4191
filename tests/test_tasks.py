"""Only `asyncio.TaskGroup` and `shoveler.service.tasks` begin tasks. The linter cannot see the method of a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = ("agent", "collector", "gui", "resources", "shoveler")

HERE = "shoveler/service/tasks.py"
ALLOWED = {"gui/app/__init__.py:complete"}
"""The window's first task, which the loop itself waits for."""


def _groups(tree: ast.AST) -> set[str]:
    """Names that an ``async with asyncio.TaskGroup() as NAME`` binds."""
    return {
        item.optional_vars.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if ast.unparse(item.context_expr) == "asyncio.TaskGroup()" and isinstance(item.optional_vars, ast.Name)
    }


def begun_outside(text: str) -> Iterator[str]:
    """Functions (the innermost) that call ``create_task`` of something that is no group of theirs."""
    tree = ast.parse(text)
    groups = _groups(tree)
    inside = {
        child: node.name
        for node in ast.walk(tree)  # breadth first, so that inner functions come later and win
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("create_task", "ensure_future")
            and not (isinstance(node.value, ast.Name) and node.value.id in groups)
        ):
            yield inside.get(node, "module")


def test_what_is_meant_is_found() -> None:
    text = """
async def good():
    async with asyncio.TaskGroup() as group:
        group.create_task(work())

def bad(loop):
    asyncio.get_running_loop().create_task(work())
    def worse():
        loop.create_task(work())
"""
    assert list(begun_outside(text)) == ["bad", "worse"]


def test_tasks_have_owners() -> None:
    paths = sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    found = {
        f"{path.relative_to(ROOT)}:{name}"
        for path in paths
        for name in begun_outside(path.read_text())
        if str(path.relative_to(ROOT)) != HERE
    }
    assert found == ALLOWED
