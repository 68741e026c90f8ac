"""Waits for one external event."""

import azure.functions as func
import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext):
    approved = yield context.wait_for_external_event('Approval', bool)
    if approved:
        # approval granted - do the approved action
        return "approval granted"
    else:
        # approval denied - send a notification
        return "approval denied"


main = df.Orchestrator.create(orchestrator_function)
