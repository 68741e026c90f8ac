"""What is asked of instances."""

from datetime import datetime, timedelta, timezone

from azure.durable_functions import OrchestrationRuntimeStatus

from harness import covers, output, raises, raises_with, reaches, same

NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)
UNKNOWN = "No instance with ID 'nobody' found."
WRONG_STATE = "The operation failed with an unexpected status code 409"


async def an_ended_one(client):
    same(await output(client, await client.start_new("Echo", "ended", 1)), 1)
    return "ended"


@covers("terminate")
async def terminate(client, binding):
    for number, reason in enumerate(["enough", "out of stock & more + 100%", "à bientôt", '"quoted"', "7"]):
        instance = await client.start_new("W", f"w-{number}")
        same(await client.terminate(instance, reason), None)
        same((await reaches(client, instance, "Terminated")).output, reason)
        # One that has ended is left in peace.
        same(await client.terminate(instance, "again"), None)
        same((await client.get_status(instance)).output, reason)
    await raises(client.terminate("nobody", "reason"), UNKNOWN)


@covers("suspend", "resume")
async def suspend_and_resume(client, binding):
    instance = await client.start_new("Collect", "collector", 2)
    same(await client.suspend(instance, "lunch & rest"), None)
    await reaches(client, instance, "Suspended")
    await client.raise_event(instance, "item", 1)
    await client.raise_event(instance, "item", 2)
    same((await client.get_status(instance)).runtime_status.value, "Suspended")
    await raises(client.suspend(instance, "twice"), WRONG_STATE)
    same(await client.resume(instance, "back"), None)
    same(await output(client, instance), [1, 2])

    await raises(client.suspend("nobody", "reason"), UNKNOWN)
    await raises(client.resume("nobody", "reason"), UNKNOWN)
    instance = await client.start_new("W", "running")
    await raises(client.resume(instance, "reason"), WRONG_STATE)
    ended = await an_ended_one(client)
    same(await client.suspend(ended, "reason"), None)
    same(await client.resume(ended, "reason"), None)


@covers("rewind")
async def rewind(client, binding):
    for instance, hub in [("one", {}), ("other", {"task_hub_name": "Other", "connection_name": "Storage"})]:
        # Its activity fails at the first attempt, and is not tried again until somebody says so.
        await client.start_new("Tries", instance, {"fail": 1, "max_attempts": 1, "interval": 1})
        await reaches(client, instance, "Failed")
        # The client does not encode the reason: the rest of it is lost.
        same(await client.rewind(instance, "repaired & tried", **hub), None)
        same((await output(client, instance))["attempt"], 2)
        history = (await client.get_status(instance, show_history=True)).historyEvents
        same([event["Reason"] for event in history if event["EventType"] == "ExecutionRewound"], ["repaired "])

    await raises(client.rewind("nobody", "reason"), "No instance with ID nobody found.")
    ended = await an_ended_one(client)
    only_failed = "The rewind operation is only supported on failed orchestration instances."
    await raises(client.rewind(ended, "reason"), only_failed)
    running = await client.start_new("W", "running")
    unexpected = "Received unexpected payload from the durable-extension: [409, "
    await raises_with(client.rewind(running, "reason"), unexpected, "only one that has failed can be rewound")


@covers("restart")
async def restart(client, binding):
    first = await client.start_new("Echo", "first", {"n": 1})
    await output(client, first)
    # What comes back is all of the answer, as from Durable Functions.
    anew = (await client.restart(first))["id"]
    assert anew != first
    same(await output(client, anew), {"n": 1})
    other = (await client.restart(first, restart_with_new_instance_id=True))["id"]
    assert other not in (first, anew)
    same((await client.restart(first, restart_with_new_instance_id=False))["id"], first)
    same(await output(client, first), {"n": 1})

    await raises(client.restart("nobody"), UNKNOWN)
    running = await client.start_new("W", "running")
    await raises(client.restart(running, restart_with_new_instance_id=False), WRONG_STATE)
    assert (await client.restart(running))["id"] != running


@covers("purge_instance_history")
async def purge(client, binding):
    ended = await an_ended_one(client)
    same((await client.purge_instance_history(ended)).instances_deleted, 1)
    assert not await client.get_status(ended), "it has been purged"
    same((await client.purge_instance_history(ended)).instances_deleted, 0)
    running = await client.start_new("W", "running")
    await raises(client.purge_instance_history(running), WRONG_STATE)
    await reaches(client, running, "Running")


@covers("purge_instance_history_by")
async def purge_by(client, binding):
    statuses = OrchestrationRuntimeStatus
    for number in range(3):
        await output(client, await client.start_new("Echo", f"echo-{number}"))
    for number in range(2):
        await client.terminate(await client.start_new("W", f"w-{number}"), "enough")
        await reaches(client, f"w-{number}", "Terminated")
    await client.start_new("W", "running")

    async def purged(*filters, **named):
        return (await client.purge_instance_history_by(*filters, **named)).instances_deleted

    same(await purged(NOW + DAY), 0)
    same(await purged(NOW - DAY, NOW - DAY / 2), 0)
    same(await purged(NOW - DAY, NOW + DAY, [statuses.Failed]), 0)
    same(await purged(NOW - DAY, NOW + DAY, [statuses.Failed, statuses.Terminated]), 2)
    same(await purged(created_time_from=NOW - DAY), 3)
    same([status.instance_id for status in await client.get_status_all()], ["running"])
    await raises(client.purge_instance_history_by(), "created_time_from is required when purging instance history")
