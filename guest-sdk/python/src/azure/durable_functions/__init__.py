"""`azure.durable_functions` as far as it makes sense in a module of Fermata: see `fermata_guest`."""

from typing import NoReturn

from fermata_guest import *  # noqa: F403
from fermata_guest import __all__

_HTTP = "clients talk HTTP to the host (POST /runtime/webhooks/durabletask/…), from outside the module"
_ENTITIES = "there are no entities; keep the state in an orchestrator that waits for events and continues as new"
_INSTEAD = {
    "DurableOrchestrationClient": _HTTP,
    "OrchestrationRuntimeStatus": _HTTP,
    "PurgeHistoryResult": _HTTP,
    "DurableOrchestrationStatus": _HTTP,
    "Entity": _ENTITIES,
    "EntityId": _ENTITIES,
    "DurableEntityContext": _ENTITIES,
    "ManagedIdentityTokenSource": "there is no call_http; make the request in an activity",
    "openai_agents": "call the model in an activity",
}


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(f"azure.durable_functions has no {name}")
    # An ImportError, for `from … import` would put its own words in the place of an AttributeError's.
    if name in _INSTEAD:
        raise ImportError(f"azure.durable_functions.{name} is not there: {_INSTEAD[name]}")
    raise ImportError(f"azure.durable_functions has no {name}; what is there: {', '.join(__all__)}")
