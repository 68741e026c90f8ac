"""What a module holds: its orchestrators and activities by name, found by importing the project when it is built."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from .app import ACTIVITY, ORCHESTRATOR, DFApp, FunctionBuilder, containers
from .driver import can_wait, missing_yield
from .frames import shown_path
from .orchestrator import OrchestratorHandle


class ProjectError(Exception):
    """The project can not be built; the text is one sentence."""


@dataclass
class Entry:
    """One orchestrator or activity."""

    function: Callable[..., Any]
    # The parameter that takes an activity's input; none where it is the first one.
    parameter: str | None = None
    # What an orchestrator's input is fitted to.
    input_type: Any = None
    # Where it was found, for a person.
    file: str = ""


@dataclass
class Registry:
    """The orchestrators and activities of a module, by name."""

    orchestrators: dict[str, Entry] = field(default_factory=dict)
    activities: dict[str, Entry] = field(default_factory=dict)

    def add(self, kind: str, name: str, entry: Entry) -> None:
        """Takes one in. A name is taken once."""
        table = self.orchestrators if kind == ORCHESTRATOR else self.activities
        known = table.get(name)
        if known is not None and known.function is not entry.function:
            what = "orchestrators" if kind == ORCHESTRATOR else "activities"
            where = f"{place_of(known)} and {place_of(entry)}"
            raise ProjectError(f"two {what} are called `{name}`, at {where}: give one of them another name")
        table[name] = entry


registry = Registry()


def collect(files: list[tuple[str, str, str]], into: Registry = registry) -> list[str]:
    """Imports the files of a project, each (module, name, path), and takes in what they hold. Gives warnings."""
    apps: list[int] = []
    for module_name, name, path in files:
        module = importlib.import_module(module_name)
        _take_main(module, name, path, into)
        for found in list(vars(module).values()):
            if isinstance(found, DFApp) and id(found) not in apps:
                apps.append(id(found))
                _take_app(found, path, into)
    if not into.orchestrators and not into.activities:
        raise ProjectError(
            "no orchestrator and no activity was found: decorate functions with `@app.orchestration_trigger` of a DFApp, or "
            "write `main = df.Orchestrator.create(orchestrator_function)`"
        )
    return _warnings(into)


def _take_app(app: DFApp, path: str, into: Registry) -> None:
    for builder in app.functions:
        _take_builder(builder, path, into)


def _take_builder(builder: FunctionBuilder, path: str, into: Registry) -> None:
    if builder.trigger is None:
        raise ProjectError(
            f"`{builder.__name__}` in {path} has a name and no trigger: add `@app.activity_trigger` or `@app.orchestration_trigger`"
        )
    parameter = builder.parameter if builder.trigger == ACTIVITY else None
    into.add(builder.trigger, builder.name, Entry(builder.function, parameter, builder.input_type, path))


def _take_main(module: ModuleType, name: str, path: str, into: Registry) -> None:
    """The first programming model: `main` is an orchestrator, or an activity."""
    main = getattr(module, "main", None)
    for variable, found in list(vars(module).items()):
        if not isinstance(found, OrchestratorHandle):
            continue
        if found is not main and not found.name:
            if found.orchestrator_function.__module__ != module.__name__:
                continue  # imported from the file that it is named after
            raise ProjectError(
                f"the orchestrator `{variable}` in {path} has no name: write `main = df.Orchestrator.create(…)`, which names it "
                "after the file, or `df.Orchestrator.create(…, name=…)`"
            )
        into.add(ORCHESTRATOR, found.name or name, Entry(found.orchestrator_function, file=path))
    if inspect.isfunction(main) and main.__module__ == module.__name__:
        parameters = list(inspect.signature(main).parameters)
        if len(parameters) == 1 or (len(parameters) == 2 and "context" in parameters):
            into.add(ACTIVITY, name, Entry(main, file=path))
        elif parameters:
            raise ProjectError(
                f"main({', '.join(parameters)}) in {path} is neither an orchestrator nor an activity, which takes one input: "
                "clients talk HTTP to the host, so leave the file out"
            )


def place_of(entry: Entry) -> str:
    """Where a function is, for a person."""
    code = getattr(entry.function, "__code__", None)
    return f"{shown_path(code.co_filename)}:{code.co_firstlineno}" if code else entry.file


def _warnings(into: Registry) -> list[str]:
    warnings = [
        f"{place_of(entry)}: {missing_yield(name)}"
        for name, entry in sorted(into.orchestrators.items())
        if not can_wait(entry.function)
    ]
    forgotten = [container for container in containers if not container.is_registered and container.functions]
    for blueprint in forgotten:
        names = ", ".join(builder.name for builder in blueprint.functions)
        warnings.append(
            f"a Blueprint is registered with no app, so that these are left out: {names}; write app.register_functions(…)"
        )
    return warnings
