"""What goes wrong, and how that looks."""

import azure.durable_functions as df

failures = df.Blueprint()


class OutOfStock(Exception):
    """Trying again cannot help."""

    non_retryable = True


@failures.orchestration_trigger(context_name="context")
def PyFails(context: df.DurableOrchestrationContext):
    """Raises at its first step, or after the event `Go` where the input says so."""
    if context.get_input():
        yield context.wait_for_external_event("Go")
    raise ValueError("this can not be")


@failures.activity_trigger(input_name="text")
def PyActivityFails(text):
    raise OutOfStock(text or "nothing is left")


@failures.orchestration_trigger(context_name="context")
def PyCatches(context: df.DurableOrchestrationContext):
    """Catches an activity's failure and returns its fields."""
    try:
        yield context.call_activity("PyActivityFails", "only 3 are left")
    except df.TaskFailedError as error:
        return {
            "kind": error.kind,
            "message": error.message,
            "errorType": error.error_type,
            "details": error.details,
            "nonRetryable": error.non_retryable,
        }


@failures.orchestration_trigger(context_name="context")
def PyPassesOn(context: df.DurableOrchestrationContext):
    """Does not catch it."""
    yield context.call_activity("PyActivityFails", "only 3 are left")


@failures.orchestration_trigger(context_name="context")
def PyWraps(context: df.DurableOrchestrationContext):
    """Raises another exception because of it."""
    try:
        yield context.call_activity("PyActivityFails")
    except df.TaskFailedError as error:
        raise RuntimeError("the order can not be filled") from error


@failures.activity_trigger(input_name="attempts")
def PyFlaky(attempts):
    """Fails until the attempt that the input says."""
    import fermata_guest

    attempt = fermata_guest.activity_context().attempt
    if attempt < attempts:
        raise ConnectionError(f"attempt {attempt} failed")
    return attempt


@failures.orchestration_trigger(context_name="context")
def PyRetry(context: df.DurableOrchestrationContext):
    """Tries an activity up to three times; the input says which attempt succeeds."""
    options = df.RetryOptions(10, 3)
    once = df.RetryOptions(10, 3, backoff_coefficient=2.0, non_retryable=[ConnectionError])
    value = yield context.call_activity_with_retry("PyFlaky", options, context.get_input() or 3)
    try:
        yield context.call_activity_with_retry("PyFlaky", once, 2)
    except df.TaskFailedError as error:
        return [value, error.error_type, error.message]


@failures.orchestration_trigger(context_name="context")
def PyBadOutput(context: df.DurableOrchestrationContext):
    """Returns what is no JSON; the input says what."""
    yield context.create_timer(context.current_utc_datetime)
    return {"set": {1}, "nan": float("nan"), "bytes": b"x", "object": object()}[context.get_input() or "set"]


@failures.orchestration_trigger(context_name="context")
def PyMismatch(context: df.DurableOrchestrationContext):
    """Waits for a number; catches what does not fit, and returns the kind of that failure."""
    try:
        return (yield context.wait_for_external_event("Number", int))
    except df.TaskFailedError as error:
        return [error.kind, str(error)]


@failures.orchestration_trigger(context_name="context")
def PyForgot(context: df.DurableOrchestrationContext):
    """The page's first sample: the `yield` is missing."""
    approved = context.wait_for_external_event("Approval")
    if approved:
        return "granted"
    return "denied"


@failures.orchestration_trigger(context_name="context")
def PyForgotAny(context: df.DurableOrchestrationContext):
    """The page's second sample, with one `yield` elsewhere."""
    yield context.create_timer(context.current_utc_datetime)
    event1 = context.wait_for_external_event("Event1")
    event2 = context.wait_for_external_event("Event2")
    winner = context.task_any([event1, event2])
    if winner == event1:
        return 1
    return 2


@failures.orchestration_trigger(context_name="context")
def PyForgotOne(context: df.DurableOrchestrationContext):
    """One `yield` of two is missing."""
    yield context.create_timer(context.current_utc_datetime)
    approved = context.wait_for_external_event("Approval")
    return "granted" if approved else "denied"


@failures.orchestration_trigger(context_name="context")
async def PyForgotAwait(context: df.DurableOrchestrationContext):
    """Returns a task."""
    return context.wait_for_external_event("Approval")


@failures.orchestration_trigger(context_name="context")
def PyYieldsList(context: df.DurableOrchestrationContext):
    """Yields a list of tasks."""
    return (yield [context.wait_for_external_event("A"), context.wait_for_external_event("B")])
