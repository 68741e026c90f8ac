"""What a function answers who called it over HTTP: links, or the result if it comes soon. And what this host does not serve."""

import asyncio
import json

import azure.functions as func
from azure.durable_functions import EntityId

from harness import covers, follow, output, raises, reaches, same

REQUEST = func.HttpRequest("POST", "https://orders.example/api/start?x=1", body=b"")


def body(answer):
    return json.loads(answer.get_body())


def links_of(binding, instance):
    return {name: url.replace("INSTANCEID", instance) for name, url in binding["managementUrls"].items()}


def is_check_status_response(answer, links):
    """The links lead where the caller came from."""
    same(answer.status_code, 202)
    for name, link in links.items():
        path = link.partition("://")[2].partition("/")[2]
        same([name, body(answer)[name]], [name, link if name == "id" else f"https://orders.example/{path}"])
    same(set(body(answer)) - set(links) == set(), True)
    headers = answer.headers
    same([headers["Location"], headers["Retry-After"]], [body(answer)["statusQueryGetUri"], "10"])
    same(headers["Content-Type"], "application/json")


@covers("create_check_status_response", "create_http_management_payload", "get_client_response_links")
async def links(client, binding):
    instance = await client.start_new("W", "order 1")
    expected = links_of(binding, instance)
    same(client.create_http_management_payload(instance), expected)
    same(client.get_client_response_links(None, instance), expected)
    same(client.get_client_response_links(REQUEST, instance), body(client.create_check_status_response(REQUEST, instance)))
    is_check_status_response(client.create_check_status_response(REQUEST, instance), expected)


@covers("create_http_management_payload")
async def links_lead_on(client, binding):
    instance = await client.start_new("Collect", "linked", 1)
    urls = client.create_http_management_payload(instance)
    reason = lambda name: urls[name].replace("{text}", "because")

    same(follow("GET", urls["statusQueryGetUri"])[0], 202)
    same(follow("POST", reason("suspendPostUri")), [202, None])
    await reaches(client, instance, "Suspended")
    same(follow("POST", reason("resumePostUri")), [202, None])
    same(follow("POST", urls["sendEventPostUri"].replace("{eventName}", "item"), {"n": 1}), [202, None])
    same(await output(client, instance), [{"n": 1}])
    same(follow("GET", urls["statusQueryGetUri"])[1]["output"], [{"n": 1}])
    same(follow("POST", reason("rewindPostUri"))[0], 410)

    status, restarted = follow("POST", urls["restartPostUri"])
    same(status, 202)
    other = client.create_http_management_payload(restarted["id"])
    same(follow("POST", other["terminatePostUri"].replace("{text}", "because")), [202, None])
    same((await reaches(client, restarted["id"], "Terminated")).output, "because")
    same(follow("DELETE", urls["purgeHistoryDeleteUri"]), [200, {"instancesDeleted": 1}])
    same(follow("GET", urls["statusQueryGetUri"])[0], 404)

    at = binding["creationUrls"]["createNewInstancePostUri"].replace("{functionName}", "Echo")
    status, started = follow("POST", at.replace("[/{instanceId}]", "/started"), {"n": 1})
    same([status, started["id"], await output(client, "started")], [202, "started", {"n": 1}])
    status, started = follow("POST", at.replace("[/{instanceId}]", ""), {"n": 2})
    same([status, await output(client, started["id"])], [202, {"n": 2}])
    wait = binding["creationUrls"]["createAndWaitOnNewInstancePostUri"].replace("{functionName}[/{instanceId}]", "Echo")
    wait = wait.replace("{timeoutInSeconds}", "50").replace("{intervalInSeconds}", "0.1")
    same(follow("POST", wait, {"n": 3}), [200, {"n": 3}])


WAIT = {"timeout_in_milliseconds": 50_000, "retry_interval_in_milliseconds": 5}


@covers("wait_for_completion_or_create_check_status_response")
async def wait_for_completion(client, binding):
    instance = await client.start_new("W", "awaited")
    waiting = asyncio.create_task(client.wait_for_completion_or_create_check_status_response(REQUEST, instance, **WAIT))
    await client.raise_event(instance, "go", {"n": [1, "2"]})
    answer = await waiting
    same([answer.status_code, answer.mimetype, body(answer)], [200, "application/json", {"n": [1, "2"]}])

    for orchestrator, end, expected in [
        ("Fails", lambda: client.raise_event("Fails", "go", None), [500, "Failed", "the budget is spent"]),
        ("W", lambda: client.terminate("W", "enough"), [200, "Terminated", "enough"]),
    ]:
        await client.start_new(orchestrator, orchestrator)
        await end()
        answer = await client.wait_for_completion_or_create_check_status_response(REQUEST, orchestrator, **WAIT)
        same([answer.status_code, body(answer)["runtimeStatus"], body(answer)["output"]], expected)


@covers("wait_for_completion_or_create_check_status_response")
async def wait_in_vain(client, binding):
    wait = client.wait_for_completion_or_create_check_status_response
    instance = await client.start_new("W", "awaited")
    is_check_status_response(await wait(REQUEST, instance, 30, 10), links_of(binding, instance))
    too_long = "Total timeout 1 (ms) should be bigger than retry timeout 2 (ms)"
    await raises(wait(REQUEST, instance, 1, 2), too_long)


@covers("signal_entity", "read_entity_state")
async def entities(client, binding):
    counter = EntityId("Counter", "steps")
    not_served = "The operation failed with an unexpected status code 501"
    await raises(client.signal_entity(counter, "add", 5, "Hub", "Storage"), not_served)
    await raises(client.signal_entity(counter, "reset"), not_served)
    await raises(client.read_entity_state(counter, "Hub", "Storage"), not_served)
