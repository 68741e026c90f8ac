"""Imports ahead of time what would be imported while the module runs: then there are no files to import from."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator

# What the standard library imports only when it is used.
_LAZY = (
    "_strptime",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16",
    "encodings.cp1252",
    "encodings.utf_8_sig",
)


def preload(files: list[str]) -> None:
    """Imports what functions in these source files import, and what the standard library does behind their backs."""
    for name in _LAZY:
        importlib.import_module(name)
    for path in files:
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read(), path)
        for name in _imported_in_functions(tree, _package_of(path)):
            _try(name)
    if "asyncio" in sys.modules:
        importlib.import_module("fermata_guest.loop")


def _package_of(path: str) -> str:
    """The package of the module that was imported from this file."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == path:
            return module.__package__ or ""
    return ""


def _imported_in_functions(tree: ast.AST, package: str) -> Iterator[str]:
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(node, package)
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join(filter(None, [*parts, node.module]))


def _try(name: str) -> None:
    """Imports it where it is there. What is not fails where the function runs, and says so."""
    try:
        importlib.import_module(name)
    except Exception:
        pass
