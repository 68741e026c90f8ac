"""Orchestrators for the end-to-end tests: one for each thing that the package does."""

from py_failures import failures
from py_sandbox import sandbox
from py_tasks import tasks

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(tasks)
app.register_functions(failures)
app.register_functions(sandbox)
