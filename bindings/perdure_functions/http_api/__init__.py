"""The HTTP management API: start, query, raise events, suspend, rewind, restart, terminate, purge.

The routes, parameters and answers are those of Durable Functions:
https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-http-api
"""

from perdure_functions.http_api.routes import ManagementApi, add_http_functions

__all__ = ["ManagementApi", "add_http_functions"]
