import azure.functions as func
import azure.durable_functions as df

def orchestrator_function(context: df.DurableOrchestrationContext):
    approved = yield context.wait_for_external_event('Approval')
    if approved:
        # approval granted - do the approved action
        pass
    else:
        # approval denied - send a notification
        pass

main = df.Orchestrator.create(orchestrator_function)
