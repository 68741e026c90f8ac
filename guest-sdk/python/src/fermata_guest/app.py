"""`DFApp` and `Blueprint`: the decorators that make functions orchestrators and activities."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

from .failure import NotSupportedError

ORCHESTRATOR = "orchestration"
ACTIVITY = "activity"

# Every container made while the project was imported, to tell those whose functions were not registered.
containers: list[Blueprint] = []


class FunctionBuilder:
    """What the decorators make of a function. Calling it calls the function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.trigger: str | None = None
        self.parameter = ""
        self.input_type: Any = None
        self._set_name: str | None = None
        self._trigger_name: str | None = None
        self.__name__ = getattr(function, "__name__", "function")
        self.__doc__ = function.__doc__

    @property
    def name(self) -> str:
        """The name it is known by: that of the trigger, else of `function_name`, else the function's."""
        return self._trigger_name or self._set_name or self.__name__

    def set_name(self, name: str) -> None:
        """What `@app.function_name` does."""
        self._set_name = name

    def set_trigger(self, trigger: str, parameter: str, name: str | None, input_type: Any = None) -> None:
        """Makes it an orchestrator or an activity; a function is one of them, once."""
        if self.trigger is not None:
            raise ValueError(f"`{self.__name__}` has two triggers; a function is one orchestrator or one activity")
        parameters = inspect.signature(self.function).parameters
        takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
        if parameter not in parameters and not takes_any:
            raise ValueError(f"`{self.__name__}` has no parameter `{parameter}`, which its {trigger}_trigger names")
        self.trigger, self.parameter, self._trigger_name, self.input_type = trigger, parameter, name, input_type

    def name_for(self, trigger: str) -> str:
        """Its name, where it is of this kind."""
        if self.trigger != trigger:
            raise ValueError(f"`{self.__name__}` has the {self.trigger}_trigger, not the {trigger}_trigger")
        return self.name

    @property
    def result_type(self) -> type | None:
        """The class that the function is annotated to return."""
        try:
            hint = typing.get_type_hints(self.function).get("return")
        except Exception:
            return None
        return hint if isinstance(hint, type) and hint is not type(None) else None

    def get_user_function(self) -> Callable[..., Any]:
        """The function as it was written."""
        return self.function

    def build(self) -> FunctionBuilder:
        """Itself: what Durable Functions' builder makes is the same here."""
        return self

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.function(*arguments, **named)


class Blueprint:
    """Functions that an app takes in with `app.register_functions(blueprint)`."""

    def __init__(self, http_auth_level: Any = None, **_: Any) -> None:
        # The level is accepted so that samples work; the host's keys decide who may do what.
        self.functions: list[FunctionBuilder] = []
        self.is_registered = False
        containers.append(self)

    def _builder(self, function: Any) -> FunctionBuilder:
        if isinstance(function, FunctionBuilder):
            return function
        if not callable(function):
            raise ValueError(f"a decorator of the app stands before a function, not before {type(function).__name__}")
        builder = FunctionBuilder(function)
        self.functions.append(builder)
        return builder

    def function_name(self, name: str, **_: Any) -> Callable[[Any], FunctionBuilder]:
        """Gives the function another name than its own."""

        def decorate(function: Any) -> FunctionBuilder:
            builder = self._builder(function)
            builder.set_name(name)
            return builder

        return decorate

    def orchestration_trigger(
        self, context_name: str, orchestration: str | None = None, input_type: Any = None
    ) -> Callable[[Any], FunctionBuilder]:
        """Makes the function an orchestrator. `input_type` is what `context.get_input()` fits the input to."""

        def decorate(function: Any) -> FunctionBuilder:
            builder = self._builder(function)
            builder.set_trigger(ORCHESTRATOR, context_name, orchestration, input_type)
            return builder

        return decorate

    def activity_trigger(self, input_name: str, activity: str | None = None) -> Callable[[Any], FunctionBuilder]:
        """Makes the function an activity. It gets its input as the parameter `input_name`."""

        def decorate(function: Any) -> FunctionBuilder:
            builder = self._builder(function)
            builder.set_trigger(ACTIVITY, input_name, activity)
            return builder

        return decorate

    def __getattr__(self, name: str) -> Any:
        instead = _instead_of(name)
        if instead is None:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        raise NotSupportedError(f"app.{name} is not there: {instead}")


_OTHERS = ("schedule", "mcp_tool", "mcp_tool_property")
_SUFFIXES = ("_trigger", "_input", "_output", "_binding", "_orchestrator")


def _instead_of(name: str) -> str | None:
    """What to do instead of what Durable Functions' decorator of this name does."""
    if name == "entity_trigger":
        return "there are no entities; keep the state in an orchestrator that waits for events and continues as new"
    if name in ("durable_client_input", "route", "http_type"):
        return (
            "clients talk HTTP to the host, which starts orchestrators at POST /runtime/webhooks/durabletask/orchestrators/NAME; "
            "leave this function out"
        )
    if name == "retry":
        return "who calls an activity says how it is retried, with context.call_activity_with_retry"
    if name in _OTHERS or name.endswith(_SUFFIXES):
        return (
            "a module holds orchestrators and activities, with orchestration_trigger and activity_trigger, and what begins them "
            "talks HTTP to the host"
        )
    return None


class DFApp(Blueprint):
    """The functions of a module."""

    def __init__(self, http_auth_level: Any = None, **named: Any) -> None:
        super().__init__(http_auth_level, **named)
        self.is_registered = True

    def register_functions(self, function_container: Blueprint) -> None:
        """Takes in the functions of a blueprint."""
        if not isinstance(function_container, Blueprint) or isinstance(function_container, DFApp):
            raise TypeError(f"register_functions takes a Blueprint, not {type(function_container).__name__}")
        self.functions.extend(function_container.functions)
        function_container.is_registered = True

    register_blueprint = register_functions
