"""Names of functions that agents and workflows have, so that no two of them come to the same one unnoticed."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

_claimed: WeakKeyDictionary[Any, dict[tuple[str, str], tuple[str, str]]] = WeakKeyDictionary()
"""By the owner of the functions: kind and name, in lower case, with whose it is and the name as it is written."""


def claim(owner: Any, kind: str, name: str, whose: str) -> str | None:
    """Claim a name, unless it is taken.

    Args:
        owner: the app or registry whose names have to differ.
        kind: orchestrator or activity.
        name: the function's name; upper and lower case are the same.
        whose: who has it, such as "agent 'writer'".

    Returns:
        What to tell the user if somebody has it already; None if the name is claimed now.
    """
    taken = _claimed.setdefault(owner, {})
    key = kind, name.casefold()
    if key not in taken:
        taken[key] = whose, name
        return None
    other, its_name = taken[key]
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{whose} needs {article} {kind} named '{name}', but {other} has '{its_name}' already"
