"""How many messages of control queues are in a worker's hands.

A host takes no more of a queue while it runs many of them. What works in place holds its message for as long: when
many do, all other instances would wait for the first of them to end. So in a crowd what may take long goes through the
queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Crowd:
    """Counts those of one worker.

    Args:
        most: so many are no crowd yet.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    @property
    def is_dense(self) -> bool:
        """Whether none of them should be held for long."""
        return self._count > self._most

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Count one more, until the block ends."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
