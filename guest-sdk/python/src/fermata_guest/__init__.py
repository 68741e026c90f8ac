"""Orchestrators and activities for Fermata, in the programming model of `azure-functions-durable`.

    import fermata_guest as df

    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def BudgetApproval(context: df.DurableOrchestrationContext):
        approved = yield context.wait_for_external_event("Approval", bool)
        return "approval granted" if approved else "approval denied"

`azure.durable_functions` and `azure.functions` are there too, as far as they make sense in a module.
"""

from .activity import ActivityContext, activity_context
from .app import Blueprint, DFApp, FunctionBuilder
from .context import DurableOrchestrationContext
from .driver import MissingYieldError
from .failure import NotSupportedError, PayloadError, TaskFailedError, TaskMisuseError, TaskTimeoutError
from .orchestrator import Orchestrator
from .retry import RetryOptions
from .sandbox import OutsideWorldError
from .task import Task, TaskState, TimerTask

__all__ = [
    "ActivityContext",
    "Blueprint",
    "DFApp",
    "DurableOrchestrationContext",
    "FunctionBuilder",
    "MissingYieldError",
    "NotSupportedError",
    "Orchestrator",
    "OutsideWorldError",
    "PayloadError",
    "RetryOptions",
    "Task",
    "TaskFailedError",
    "TaskMisuseError",
    "TaskState",
    "TaskTimeoutError",
    "TimerTask",
    "activity_context",
]
