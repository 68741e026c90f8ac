"""Issues a permit: the work that NewBuildingPermit has done."""

import logging

import azure.functions as func


class NoApplication(Exception):
    """A permit needs the id of an application. Trying again cannot help."""

    non_retryable = True


def main(application_id: str, context: func.Context) -> dict:
    if not application_id:
        raise NoApplication("a permit needs the id of an application")
    # An activity may run again after a crash. The key of its task is the same then, and so is the number made of it.
    total = 0
    for byte in context.task_key.encode():
        total = (total * 31 + byte) % 2**32
    number = f"BP-{total % 1_000_000:06}"
    logging.info("permit %s issued for application %s", number, application_id)
    return {"applicationId": application_id, "number": number}
