"""The list of functions that is printed when the host starts."""

from __future__ import annotations

from collections.abc import Iterable

from perdure.local.catalog import LocalFunction
from perdure.local.host import HTTP_TRIGGER, SERVED_TRIGGERS
from perdure.local.routing import HttpRoute


def function_lines(
    functions: Iterable[LocalFunction], routes: Iterable[HttpRoute], base_url: str, *, verbose: bool
) -> list[str]:
    """Return the lines, one for each function.

    Args:
        functions: All functions of the app.
        routes: The HTTP-triggered ones that are served.
        base_url: Address with the route prefix, without a slash at the end.
        verbose: List the app's internal functions, too.
    """
    by_function = {route.function.name: route for route in routes}
    shown = [function for function in functions if verbose or not function.internal]
    lines = ["", "Functions:", *(_line(function, by_function.get(function.name), base_url) for function in shown)]
    hidden = sum(function.internal for function in functions) if not verbose else 0
    if hidden:
        lines.append(f"        and {hidden} of the app's own (--verbose shows them)")
    return [*lines, ""]


def _line(function: LocalFunction, route: HttpRoute | None, base_url: str) -> str:
    if function.disabled:
        what = f"{function.trigger.type} (disabled)"
    elif route is not None:
        methods = f"[{','.join(route.methods)}] " if route.methods else ""
        what = f"{methods}{base_url}/{route.template.text.strip('/')}"
    elif function.trigger.type in SERVED_TRIGGERS - {HTTP_TRIGGER}:
        what = function.trigger.type
    else:
        what = f"{function.trigger.type} (this host does not run such triggers)"
    return f"        {function.name}: {what}"
