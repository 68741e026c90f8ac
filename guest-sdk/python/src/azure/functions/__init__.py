"""`azure.functions` as far as samples of orchestrators need it: `AuthLevel`, and the app under its other names."""

from enum import Enum
from typing import NoReturn

from fermata_guest import ActivityContext as Context
from fermata_guest import Blueprint
from fermata_guest import DFApp as FunctionApp

__all__ = ["AuthLevel", "Blueprint", "Context", "FunctionApp"]


class AuthLevel(Enum):
    """Who may call an HTTP trigger. Nobody asks for it here: the host's keys decide who may do what."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    ADMIN = "admin"


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(f"azure.functions has no {name}")
    # An ImportError, for `from … import` would put its own words in the place of an AttributeError's.
    raise ImportError(
        f"azure.functions.{name} is not there: a module holds orchestrators and activities, no HTTP or other triggers; "
        "clients talk HTTP to the host, from outside the module"
    )
