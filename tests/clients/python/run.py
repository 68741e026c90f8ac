"""The unmodified Python client of Durable Functions, against a running host.

    python run.py                 prints the names of the scenarios; fails where a call of the client has none
    python run.py SCENARIO        runs one; FERMATA_BINDING holds what GET /clients/durable-binding?client=python says
"""

import asyncio
import json
import os
import sys

import answers, control, events, queries, starting  # noqa: E401, F401: they register themselves
from azure.durable_functions.models.utils import http_utils
from harness import SCENARIOS, check_coverage, run


async def main(name):
    try:
        await run(name, json.loads(os.environ["FERMATA_BINDING"]))
    finally:
        await http_utils._close_session()


if len(sys.argv) > 1:
    asyncio.run(main(sys.argv[1]))
else:
    check_coverage()
    print("\n".join(SCENARIOS))
