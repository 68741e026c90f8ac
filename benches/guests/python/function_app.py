import azure.durable_functions as df

app = df.DFApp()


# The workload of the peers: one event, and its payload is the output.
@app.orchestration_trigger(context_name="context")
def W(context: df.DurableOrchestrationContext):
    return (yield context.wait_for_external_event("go"))


# Takes as many events as its input says.
@app.orchestration_trigger(context_name="context")
def Collect(context: df.DurableOrchestrationContext):
    count = context.get_input()
    items = []
    while len(items) < count:
        items.append((yield context.wait_for_external_event("item")))
    return len(items)


@app.orchestration_trigger(context_name="context")
async def CollectAsync(context: df.DurableOrchestrationContext):
    count = context.get_input()
    items = []
    while len(items) < count:
        items.append(await context.wait_for_external_event("item"))
    return len(items)
