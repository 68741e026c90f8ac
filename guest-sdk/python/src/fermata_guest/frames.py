"""Tracebacks of the author's code: without the frames of this package, with paths as the project has them.

Orchestrators have no file system, so the source lines are read when the module is built.
"""

from __future__ import annotations

import linecache
import os.path
import sys
import traceback

_HERE = os.path.dirname(__file__) + os.sep
_GENERATED = ("wit_world", "componentize_py")

# Longer text is cut in its middle, characters: a failure lands in the history.
_LONGEST = 16_000

_roots: list[str] = []


def set_roots(roots: list[str]) -> None:
    """Says which folders the project's code is in."""
    _roots[:] = [root.rstrip("/") + "/" for root in roots]


def project_files() -> list[str]:
    """The source files of the project's that are imported by now."""
    paths = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    return sorted(path for path in paths if path.endswith(".py") and path.startswith(tuple(_roots)))


def keep_sources() -> None:
    """Keeps the source of every module of the project's that is imported by now."""
    for path in project_files():
        lines = linecache.getlines(path)
        # Without a modification time an entry is never compared with the file, which is not there at run time.
        linecache.cache[path] = (sum(map(len, lines)), None, lines, path)


def describe(error: BaseException) -> str:
    """The traceback of an exception and of what caused it, as Python prints it."""
    trace = traceback.TracebackException.from_exception(error, compact=True)
    _tidy(trace, set())
    text = "".join(trace.format()).rstrip("\n")
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]}\n…\n{text[-half:]}"
    return text


def _tidy(trace: traceback.TracebackException, seen: set[int]) -> None:
    if id(trace) in seen:
        return
    seen.add(id(trace))
    frames = [frame for frame in trace.stack if not _is_ours(frame.filename)]
    for frame in frames:
        frame.filename = shown_path(frame.filename)
    trace.stack = traceback.StackSummary.from_list(frames)
    for cause in (trace.__cause__, trace.__context__, *(getattr(trace, "exceptions", None) or ())):
        if cause is not None:
            _tidy(cause, seen)


def shown_path(path: str) -> str:
    """The path of a source file as the author knows it."""
    for root in _roots:
        if path.startswith(root):
            return path[len(root) :]
    return path


def _is_ours(path: str) -> bool:
    return path.startswith(_HERE) or any(part in path for part in _GENERATED)
