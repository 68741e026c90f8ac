"""What happens inside the build: the project is imported, and what came of it is told to `build.py` in a file."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any, NoReturn

from . import frames, log
from .preload import preload
from .registry import ProjectError, collect, registry

# Beside the generated entry file; JSON with `error`, or with `warnings`, `orchestrators` and `activities`.
REPORT = "report.json"


def load(files: list[tuple[str, str, str]], folder: str) -> None:
    """Imports the files of a project, each (module, name, path), and writes the report into the folder.

    Ends the build where that fails, with one sentence.
    """
    _show_roots(files)
    try:
        warnings = collect(files)
        preload(frames.project_files())
    except ProjectError as error:
        _fail(folder, str(error))
    except SyntaxError as error:
        where = f"{frames.shown_path(error.filename or '?')}:{error.lineno}"
        _fail(folder, f"{where}: {error.msg}" + (f": {error.text.strip()}" if error.text else ""))
    except BaseException as error:
        _fail(folder, f"{_place(error)}{_sentence(error)}")
    names = {"orchestrators": sorted(registry.orchestrators), "activities": sorted(registry.activities)}
    _report(folder, {"warnings": warnings, **names})
    frames.keep_sources()
    log.prepare()


def _show_roots(files: list[tuple[str, str, str]]) -> None:
    """The folders of the project, as they are called inside the build: those of the path that hold one of its files."""
    inside = {path.replace("\\", "/").removeprefix("src/") for _, _, path in files}
    frames.set_roots([entry for entry in sys.path if any(_is_there(f"{entry}/{path}") for path in inside)])


def _is_there(path: str) -> bool:
    try:
        with open(path, "rb"):
            return True
    except OSError:
        return False


def _place(error: BaseException) -> str:
    """The innermost line of the project's own that led to it."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        shown = frames.shown_path(frame.filename)
        if shown != frame.filename:
            return f"{shown}:{frame.lineno}: "
    return ""


def _sentence(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        name = error.name or ""
        if name.startswith(("azure.durable_functions.", "azure.functions.")):
            return f"there is no module `{name}`: import what you need from azure.durable_functions itself"
        return (
            f"there is no module `{name}`: a module holds the project, the standard library and, where a folder of packages "
            "is given, those in it"
        )
    if isinstance(error, ImportError):
        return str(error)
    return f"{type(error).__name__} while it was imported: {error}"


def _fail(folder: str, sentence: str) -> NoReturn:
    _report(folder, {"error": sentence})
    raise SystemExit(1)


def _report(folder: str, report: dict[str, Any]) -> None:
    with open(f"{folder}/{REPORT}", "w", encoding="utf-8") as file:
        json.dump(report, file)
