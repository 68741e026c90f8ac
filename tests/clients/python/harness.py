"""What the scenarios share: who they are, which calls of the client each makes, and how they wait and compare."""

import asyncio
import inspect
import json
import time
import urllib.error
import urllib.request

from azure.durable_functions import DurableOrchestrationClient

# Long enough for a busy machine; nothing waits for it to pass.
PATIENCE = 60.0

SCENARIOS = {}


def covers(*calls):
    """Makes a function a scenario that makes these calls of the client."""

    def register(scenario):
        SCENARIOS[scenario.__name__] = scenario, set(calls)
        return scenario

    return register


class Watched:
    """The client as it is, and a note of what scenarios use of it."""

    def __init__(self, client):
        self._client = client
        self._calls = set()

    def __getattr__(self, name):
        self._calls.add(name)
        return getattr(self._client, name)


async def run(name, binding):
    """Runs a scenario, which must make the calls that it is said to make."""
    scenario, calls = SCENARIOS[name]
    client = Watched(DurableOrchestrationClient(json.dumps(binding), "invocation-1"))
    await scenario(client, binding)
    assert calls <= client._calls, f"{name} does not call {calls - client._calls}"


def check_coverage():
    """Every public call of the client has a scenario, and no scenario is about a call that there is not."""
    public = {name for name, _ in inspect.getmembers(DurableOrchestrationClient, callable) if name[0] != "_"}
    covered = set().union(*(calls for _, calls in SCENARIOS.values()))
    assert public == covered, f"without a scenario: {public - covered}; not in the client: {covered - public}"


def same(actual, expected):
    """As JSON, so that true is not 1."""
    actual, expected = (json.dumps(value, sort_keys=True, ensure_ascii=False) for value in (actual, expected))
    assert actual == expected, f"\n  this came:    {actual}\n  expected was: {expected}"


async def error_of(call):
    """What the exception says that the call must raise."""
    try:
        result = await call
    except Exception as error:
        return str(error)
    raise AssertionError(f"nothing was raised, and {result!r} came back")


async def raises(call, text):
    """The call must raise an exception that says just this."""
    same(await error_of(call), text)


async def raises_with(call, *words):
    """The call must raise an exception that says all of this among other things."""
    said = await error_of(call)
    for word in words:
        assert word in said, f"{word!r} in {said!r}"


async def until(what, ask):
    """Asks again and again until there is an answer."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE:
        if answer := await ask():
            return answer
        await asyncio.sleep(0.005)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


async def reaches(client, instance_id, status):
    """Waits until the instance has this status, and returns all of it."""

    async def ask():
        found = await client.get_status(instance_id)
        return found if found.runtime_status.value == status else None

    return await until(f"{instance_id} is {status}", ask)


async def output(client, instance_id):
    """Waits until the instance has completed, and returns what it returned."""
    return (await reaches(client, instance_id, "Completed")).output


def follow(method, url, body=None):
    """Plain HTTP, as whoever got a link from a client does it: the status and the JSON of the answer."""
    data = b"" if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        answer = error
    text = answer.read()
    return answer.status, json.loads(text) if text else None
