"""An orchestrator of the first programming model, in a folder of its own."""

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("PyHello", context.get_input()))


main = df.Orchestrator.create(orchestrator_function)
