"""One status, and lists of them."""

from datetime import datetime, timedelta, timezone

from azure.durable_functions import OrchestrationRuntimeStatus

from harness import covers, output, reaches, same

NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)


@covers("get_status")
async def status(client, binding):
    instance = await client.start_new("Shows", "shown", {"n": 1})
    assert not await client.get_status("nobody"), "there is nobody"
    await reaches(client, instance, "Running")
    found = await client.get_status(instance, show_input=True)
    same([found.name, found.instance_id, found.output, found.input_], ["Shows", "shown", None, {"n": 1}])
    same(found.custom_status, "waiting")
    assert abs(found.created_time - NOW) < DAY and found.created_time <= found.last_updated_time, found.to_json()

    await client.raise_event(instance, "go", None)
    found = await reaches(client, instance, "Completed")
    same([found.output, found.custom_status], [None, {"done": True}])
    same(found.to_json()["runtimeStatus"], "Completed")


@covers("get_status")
async def status_with_history(client, binding):
    await client.start_new("Collect", "collector", 1)
    await client.raise_event("collector", "item", {"n": 1})
    same(await output(client, "collector"), [{"n": 1}])
    bare = await client.get_status("collector")
    assert not hasattr(bare, "historyEvents"), "a history that nobody asked for"

    kinds = ["ExecutionStarted", "EventRaised", "ExecutionCompleted"]
    shown = await client.get_status("collector", show_history=True, show_history_output=True, show_input=True)
    events = {event["EventType"]: event for event in shown.historyEvents}
    assert set(kinds) <= set(events), list(events)
    same([events[kind].get("Input", events[kind].get("Result")) for kind in kinds], [1, {"n": 1}, [{"n": 1}]])
    without = await client.get_status("collector", show_history=True)
    assert all("Result" not in event for event in without.historyEvents), without.historyEvents


async def four_instances(client):
    """One of each kind."""
    await client.start_new("Echo", "a-completed", 1)
    await client.start_new("W", "a-running")
    await client.start_new("W", "b-terminated")
    await client.terminate("b-terminated", "enough")
    await client.start_new("W", "b-suspended")
    await client.suspend("b-suspended", "lunch")
    for instance in ["a-completed", "a-running", "b-terminated", "b-suspended"]:
        await reaches(client, instance, instance.split("-")[1].capitalize())


def ids(statuses):
    return sorted(status.instance_id for status in statuses)


@covers("get_status_all", "get_status_by")
async def lists(client, binding):
    same(ids(await client.get_status_all()), [])
    await four_instances(client)
    everybody = ["a-completed", "a-running", "b-suspended", "b-terminated"]
    found = await client.get_status_all()
    same(ids(found), everybody)
    one = next(status for status in found if status.instance_id == "a-completed")
    same([one.name, one.runtime_status.value, one.input_, one.output], ["Echo", "Completed", 1, 1])

    statuses = OrchestrationRuntimeStatus
    for filters, expected in [
        ({}, everybody),
        ({"created_time_from": NOW - DAY}, everybody),
        ({"created_time_from": NOW + DAY}, []),
        ({"created_time_to": NOW + DAY}, everybody),
        ({"created_time_to": NOW - DAY}, []),
        ({"created_time_from": NOW - DAY, "created_time_to": NOW + DAY}, everybody),
        ({"runtime_status": [statuses.Completed]}, ["a-completed"]),
        ({"runtime_status": [statuses.Terminated, statuses.Suspended]}, ["b-suspended", "b-terminated"]),
        ({"runtime_status": list(statuses)}, everybody),
        ({"runtime_status": []}, everybody),
        ({"instance_id_prefix": "a-"}, ["a-completed", "a-running"]),
        ({"instance_id_prefix": "c"}, []),
        (
            {
                "created_time_from": NOW - DAY,
                "created_time_to": NOW + DAY,
                "runtime_status": [statuses.Running, statuses.Suspended],
                "instance_id_prefix": "a",
            },
            ["a-running"],
        ),
    ]:
        same([str(filters), ids(await client.get_status_by(**filters))], [str(filters), expected])


@covers("get_status_all", "get_status_by")
async def list_more_than_a_page(client, binding):
    # This client reads one page, and knows of no other.
    for number in range(105):
        await client.start_new("Echo", f"echo-{number:03}", number)
    same(ids(await client.get_status_all()), [f"echo-{number:03}" for number in range(100)])
    same(ids(await client.get_status_by(instance_id_prefix="echo-10")), [f"echo-10{number}" for number in range(5)])
