"""Waits for the first of three external events."""

import json

import azure.functions as func
import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext):
    event1 = context.wait_for_external_event('Event1', float)
    event2 = context.wait_for_external_event('Event2', bool)
    event3 = context.wait_for_external_event('Event3', int)

    winner = yield context.task_any([event1, event2, event3])
    if winner == event1:
        result = yield event1
        return f"Event1 won with {result:g}"
    elif winner == event2:
        result = yield event2
        return f"Event2 won with {json.dumps(result)}"
    elif winner == event3:
        result = yield event3
        return f"Event3 won with {result}"


main = df.Orchestrator.create(orchestrator_function)
