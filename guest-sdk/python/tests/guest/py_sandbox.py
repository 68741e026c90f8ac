"""Time, randomness, the log, and what an orchestrator has not."""

import asyncio
import logging
import os
import random
import secrets
import socket
import subprocess
import threading
import time
import urllib.request
import uuid
from datetime import datetime, timezone

import azure.durable_functions as df

sandbox = df.Blueprint()


def readings():
    return [
        time.time(),
        datetime.now(timezone.utc).isoformat(),
        random.random(),
        str(uuid.uuid4()),
        secrets.token_hex(8),
        os.urandom(4).hex(),
        time.monotonic() >= 0,
        random.sample(range(100), 3),
        sorted({"a", "b"}),
    ]


@sandbox.orchestration_trigger(context_name="context")
def PyRandom(context: df.DurableOrchestrationContext):
    """Time and randomness before and after the event `Go`. The custom status tells what they were before, the first time."""
    before = readings()
    context.set_custom_status(before)
    yield context.wait_for_external_event("Go")
    return [before, readings()]


@sandbox.activity_trigger(input_name="ignored")
def PyActivityRandom(ignored):
    return readings()


@sandbox.orchestration_trigger(context_name="context")
def PyActivityReadings(context: df.DurableOrchestrationContext):
    """The readings of two runs of one activity: an activity's are real."""
    first = yield context.call_activity("PyActivityRandom")
    second = yield context.call_activity("PyActivityRandom")
    return [first, second]


@sandbox.orchestration_trigger(context_name="context")
def PySleeps(context: df.DurableOrchestrationContext):
    """Sleeps."""
    yield context.create_timer(context.current_utc_datetime)
    time.sleep(1)


@sandbox.orchestration_trigger(context_name="context")
def PySpin(context: df.DurableOrchestrationContext):
    """Never ends, and never waits."""
    yield context.create_timer(context.current_utc_datetime)
    while True:
        pass


@sandbox.orchestration_trigger(context_name="context")
def PyLogs(context: df.DurableOrchestrationContext):
    """Prints and logs, before and after the event `Go`."""
    print("printed before")
    logging.info("logged %s", "before")
    logging.getLogger("orders").warning("warned before")
    logging.error("an error before")
    logging.debug("not shown")
    context.log("context.log before", "warn")
    yield context.wait_for_external_event("Go")
    print("printed", "after", end="")
    return None


@sandbox.orchestration_trigger(context_name="context")
def PyOutside(context: df.DurableOrchestrationContext):
    """Reaches for the world outside in every way; returns what it is told."""
    yield context.create_timer(context.current_utc_datetime)
    return {name: told(attempt) for name, attempt in ATTEMPTS.items()}


@sandbox.activity_trigger(input_name="ignored")
def PyActivityOutside(ignored):
    """The same from an activity."""
    return {name: told(attempt) for name, attempt in ATTEMPTS.items() if name != "sleep"}


@sandbox.orchestration_trigger(context_name="context")
def PyOutsideOfActivity(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("PyActivityOutside"))


@sandbox.activity_trigger(input_name="ignored")
async def PyAsyncioActivity(ignored):
    """What asyncio has that needs neither sockets nor threads."""
    import textwrap  # imported only here

    async def later(value):
        await asyncio.sleep(0.01)
        return textwrap.shorten(value, 5)

    return await asyncio.wait_for(asyncio.gather(later("a"), later("b")), 5)


@sandbox.orchestration_trigger(context_name="context")
def PyAsyncio(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("PyAsyncioActivity"))


def told(attempt):
    try:
        return f"it went through: {attempt()!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


async def nothing():
    return "done"


def run_loop():
    coroutine = nothing()
    try:
        return asyncio.run(coroutine)
    finally:
        coroutine.close()


ATTEMPTS = {
    "sleep": lambda: time.sleep(0.01),
    "open": lambda: open("/etc/hostname").read(),
    "write": lambda: open("x.txt", "w"),
    "listdir": lambda: os.listdir("/"),
    "thread": lambda: threading.Thread(target=print).start(),
    "socket": lambda: socket.create_connection(("127.0.0.1", 80)),
    "http": lambda: urllib.request.urlopen("http://127.0.0.1:80/"),
    "subprocess": lambda: subprocess.run(["true"]),
    "system": lambda: os.system("true"),
    "asyncio": run_loop,
    "environ": lambda: dict(os.environ),
    "input": lambda: input(),
}
