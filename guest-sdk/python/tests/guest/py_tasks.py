"""Waits, timers, groups, children and generations."""

from dataclasses import dataclass
from datetime import timedelta

import azure.durable_functions as df
import fermata_guest

tasks = df.Blueprint()


@dataclass
class Order:
    """Something to read from JSON and to write as JSON."""

    item: str
    count: int = 1


class Money:
    """What travels as Durable Functions has it."""

    def __init__(self, cents):
        self.cents = cents

    @staticmethod
    def to_json(money):
        return {"cents": money.cents}

    @staticmethod
    def from_json(data):
        return Money(data["cents"])


@tasks.orchestration_trigger(context_name="context")
def PyLoop(context: df.DurableOrchestrationContext):
    """Waits for the event `E` as often as the input says; returns how often it did."""
    count = context.get_input() or 0
    taken = 0
    for _ in range(count):
        yield context.wait_for_external_event("E")
        taken += 1
    return taken


@tasks.orchestration_trigger(context_name="context")
def PySum(context: df.DurableOrchestrationContext):
    """Adds up the events `Number` until one is null."""
    total = 0
    while True:
        number = yield context.wait_for_external_event("Number")
        if number is None:
            return total
        total += number


@tasks.orchestration_trigger(context_name="context")
def PyNested(context: df.DurableOrchestrationContext):
    """Any of a timer (the input's seconds) and all of the events `A` and `B`."""
    timer = context.create_timer(timedelta(seconds=context.get_input() or 3600))
    both = context.task_all([context.wait_for_external_event("A"), context.wait_for_external_event("B")])
    winner = yield context.task_any([timer, both])
    if winner == timer:
        return "timeout"
    timer.cancel()
    return winner.result


@tasks.orchestration_trigger(context_name="context")
def PyWide(context: df.DurableOrchestrationContext):
    """Any of a long timer and all of as many activities as the input says; returns the sum of their results."""
    timer = context.create_timer(timedelta(days=1))
    work = context.task_all([context.call_activity(py_double, n) for n in range(context.get_input())])
    winner = yield context.task_any([timer, work])
    return sum(winner.result)


@tasks.activity_trigger(input_name="number", activity="PyDouble")
def py_double(number: int) -> int:
    return number * 2


@tasks.activity_trigger(input_name="value")
async def PyAsyncActivity(value):
    async def inner():
        return value

    return {"async": await inner()}


@tasks.activity_trigger(input_name="ignored")
def PyActivityContext(ignored):
    context = fermata_guest.activity_context()
    return [bool(context.task_key), context.instance_id, context.attempt]


@tasks.orchestration_trigger(context_name="context")
def PyActivities(context: df.DurableOrchestrationContext):
    """Calls the activities there are: by function, by name, async, one of the first programming model."""
    return (
        yield context.task_all(
            [
                context.call_activity(py_double, 21),
                context.call_activity("PyAsyncActivity", [1, None]),
                context.call_activity("PyActivityContext"),
                context.call_activity("PyHello", "Ann"),
            ]
        )
    )


@tasks.orchestration_trigger(context_name="context")
def PyTimer(context: df.DurableOrchestrationContext):
    """Waits for a timer of the input's seconds; another, much longer one is cancelled."""
    long = context.create_timer(context.current_utc_datetime + timedelta(days=1))
    short = context.create_timer(context.current_utc_datetime + timedelta(seconds=context.get_input() or 0))
    before = context.current_utc_datetime
    winner = yield context.task_any([long, short])
    return [winner == short, long.cancel(), long.is_cancelled, context.current_utc_datetime >= before]


@tasks.orchestration_trigger(context_name="context")
def PyTimeout(context: df.DurableOrchestrationContext):
    """Waits for `Never` with a timeout: without a default, and with one."""
    soon = timedelta(seconds=context.get_input() or 0)
    try:
        yield context.wait_for_external_event("Never", timeout=soon)
    except TimeoutError as error:
        kind = error.kind
    default = yield context.wait_for_external_event("Never", str, timeout=soon, default="nothing")
    return [kind, default]


@tasks.orchestration_trigger(context_name="context")
def PyTypes(context: df.DurableOrchestrationContext):
    """Waits for `Order`, a dataclass, and sends an object through an activity."""
    order = yield context.wait_for_external_event("Order", Order)
    money = yield context.call_activity("PyPrice", order)
    return [order, money.cents, money]


@tasks.activity_trigger(input_name="order")
def PyPrice(order) -> Money:
    return Money(order["count"] * 250)


@tasks.orchestration_trigger(context_name="context")
def PyChild(context: df.DurableOrchestrationContext):
    """Doubles its input; fails where that is null."""
    yield context.create_timer(context.current_utc_datetime)
    number = context.get_input()
    if number is None:
        raise ValueError("a child needs a number")
    return {"doubled": number * 2, "parent": context.parent_instance_id}


@tasks.orchestration_trigger(context_name="context")
def PyParent(context: df.DurableOrchestrationContext):
    """Has a child double its input, and catches the failure of another."""
    answer = yield context.call_sub_orchestrator(PyChild, context.get_input())
    try:
        yield context.call_sub_orchestrator("PyChild", None, instance_id=f"{context.instance_id}-second")
    except df.TaskFailedError as error:
        return [answer["doubled"], answer["parent"] == context.instance_id, error.error_type, error.message]


@tasks.orchestration_trigger(context_name="context")
def PyContinue(context: df.DurableOrchestrationContext):
    """Counts its input down, a generation each; then returns what it has gathered."""
    left, gathered = context.get_input()
    if left == 0:
        return gathered
    gathered.append((yield context.wait_for_external_event("E")))
    context.continue_as_new([left - 1, gathered])
    # Where it next waits, the next generation begins.
    yield context.wait_for_external_event("Never")


@tasks.orchestration_trigger(context_name="context")
async def PyAsync(context: df.DurableOrchestrationContext):
    """`async def`: an event, an activity, a group."""
    name = await context.wait_for_external_event("Name")
    greeting = await context.call_activity("PyHello", name)
    winner = await context.task_any([context.wait_for_external_event("A"), context.wait_for_external_event("B")])
    return [greeting, winner.result]


@tasks.orchestration_trigger(context_name="context")
def PyStatus(context: df.DurableOrchestrationContext):
    """Sets its custom status, and again after the event `Go`."""
    context.set_custom_status({"stage": "waiting"})
    yield context.wait_for_external_event("Go")
    context.set_custom_status({"stage": "done"})
    return context.custom_status


@tasks.orchestration_trigger(context_name="context")
def PyOthers(context: df.DurableOrchestrationContext):
    """Starts another instance, raises its event, and makes a callback URL."""
    other = context.start_orchestrator(PyLoop, 1, f"{context.instance_id}-other")
    context.raise_event(other, "E", {"from": context.instance_id})
    url = context.callback_url("Approval", timedelta(days=1))
    yield context.create_timer(context.current_utc_datetime)
    return [other, url, str(context.new_guid()), context.new_uuid(), context.version]


@tasks.orchestration_trigger(context_name="context", input_type=Order)
@tasks.function_name("PyNamed")
def another_name(context: df.DurableOrchestrationContext):
    """Has another name than its function, and an input with a type."""
    yield context.create_timer(context.current_utc_datetime)
    return context.get_input().item
