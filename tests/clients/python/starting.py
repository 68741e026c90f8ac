"""Starts, and what is refused at a start."""

from opentelemetry import trace

from harness import covers, output, raises_with, reaches, same

# Among them what is JSON within a string, which must stay a string.
INPUTS = [
    {"n": 1, "deep": {"list": [1, 2.5, None, True], "text": "straße 𝄐"}},
    [],
    {},
    "text",
    "",
    "true",
    '{"n": 1}',
    '"quoted"',
    7,
    0,
    -2.5,
    True,
    False,
]


@covers("start_new")
async def start(client, binding):
    for value in INPUTS:
        instance = await client.start_new("Echo", client_input=value)
        same(await output(client, instance), value)
        same((await client.get_status(instance, show_input=True)).input_, value)
    nothing = await client.start_new("Echo")
    same([await output(client, nothing), (await client.get_status(nothing)).input_], [None, None])


@covers("start_new")
async def start_with_id(client, binding):
    for instance in ["order-1", "über 100% & Co", "a+b=c;d,e~(f)*'!$@"]:
        # The client encodes no percent sign.
        named = instance.replace("%", "%25")
        same(await client.start_new("WhoAmI", named), instance)
        same((await output(client, named))["id"], instance)
    others = {await client.start_new("Echo") for _ in range(3)}
    assert len(others) == 3 and all(others), others
    # One that has ended is replaced.
    same(await client.start_new("Echo", "order-1", "anew"), "order-1")
    same(await output(client, "order-1"), "anew")


@covers("start_new")
async def start_with_a_version_and_within_a_trace(client, binding):
    # A host knows the versions of modules, and of nothing else: what a client calls one is not looked at.
    instance = await client.start_new("Echo", "versioned", [1], version="1.0 & more")
    same(await output(client, instance), [1])
    context = trace.SpanContext(1 << 100, 1 << 50, False, trace.TraceFlags(1), trace.TraceState([("vendor", "x")]))
    with trace.use_span(trace.NonRecordingSpan(context)):
        instance = await client.start_new("Echo", client_input="traced")
    same(await output(client, instance), "traced")


@covers("start_new")
async def start_refused(client, binding):
    await raises_with(client.start_new("Nobody"), 'there is no orchestrator named "Nobody"; there are: AskActivity, ', ", Echo")
    await raises_with(client.start_new("Echo", "@no@entity"), "@no@entity")
    await client.start_new("W", "taken")
    # All of the answer becomes the text.
    taken = 'an instance with the id "taken" exists and has not ended'
    await raises_with(client.start_new("Echo", "taken"), taken, "'code': 'instance-exists'")
    same((await reaches(client, "taken", "Running")).name, "W")
