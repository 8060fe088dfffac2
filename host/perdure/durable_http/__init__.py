"""The built-in activity behind `context.call_http`: one HTTP exchange."""

from perdure.durable_http.exchange import HttpCallError, HttpExchange, HttpStatusError

__all__ = ["HttpCallError", "HttpExchange", "HttpStatusError"]
