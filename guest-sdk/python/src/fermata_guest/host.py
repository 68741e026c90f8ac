"""The one seam to the host: what `wit/orchestration.wit` offers, under its own names.

In a component these are the generated bindings. Elsewhere (an editor, a unit test of a helper) the package can still be
imported, and each call says that there is no host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from componentize_py_types import Err as Err
    from componentize_py_types import Ok as Ok
    from wit_world.exports.guest import Manifest as Manifest
    from wit_world.imports import host as calls
    from wit_world.imports.types import Failure as Failure
    from wit_world.imports.types import LogLevel as LogLevel
    from wit_world.imports.types import RetryPolicy as RetryPolicy
else:
    try:
        from componentize_py_types import Err, Ok
        from wit_world.exports.guest import Manifest
        from wit_world.imports import host as calls
        from wit_world.imports.types import Failure, LogLevel, RetryPolicy
    except ModuleNotFoundError as missing:
        if missing.name not in ("componentize_py_types", "wit_world"):
            raise
        from .no_host import Err, Failure, LogLevel, Manifest, Ok, RetryPolicy, calls

__all__ = ["Err", "Failure", "LogLevel", "Manifest", "Ok", "RetryPolicy", "calls"]
