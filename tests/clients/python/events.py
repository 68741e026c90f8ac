"""External events."""

from harness import covers, output, raises, same

PAYLOADS = [
    True,
    False,
    "text",
    "true",
    "",
    None,
    0,
    12.5,
    {"n": 1, "by": {"name": "Zoë", "roles": []}},
    [1, [2, "3"], {}],
    '{"n": 1}',
]


@covers("raise_event")
async def events(client, binding):
    await client.start_new("Collect", "collector", len(PAYLOADS) + 1)
    for payload in PAYLOADS:
        same(await client.raise_event("collector", "item", payload), None)
    # A host has one hub and one store, whatever they are called.
    await client.raise_event("collector", "item", task_hub_name="Other", connection_name="Storage")
    same(await output(client, "collector"), PAYLOADS + [None])


@covers("raise_event")
async def events_by_any_name(client, binding):
    for number, name in enumerate(["Approval of the board", "Prüfung & Freigabe", "a+b=c", "50%25", "x"]):
        instance = await client.start_new("Named", f"named-{number}", name.replace("%25", "%"))
        # Names match in any case.
        await client.raise_event(instance, name.upper(), number)
        same(await output(client, instance), number)


@covers("raise_event")
async def events_refused(client, binding):
    await raises(client.raise_event("nobody", "go", 1), "No instance with ID nobody found.")
    await client.start_new("Echo", "ended")
    await output(client, "ended")
    await raises(client.raise_event("ended", "go", 1), "Instance with ID ended is gone: either completed or failed")
    await raises(client.raise_event("ended", "", 1), "event_name must be a non-empty string.")
