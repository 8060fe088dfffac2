"""Stands for the booking systems of an airline, a hotel and a car rental: one SQLite file, which several hosts may use
at once. The real thing would call their HTTP APIs.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

BOOKINGS = Path(__file__).parent / ".perdure" / "bookings.db"


class FullyBookedError(Exception):
    """There is no place left: trying again does not help."""


class OutOfOrderError(Exception):
    """The system does not answer: trying again may help."""


def reserve(kind: str, reference: str, traveller: str, price: str) -> None:
    """Make a reservation. One that exists under this reference stays as it is."""
    time.sleep(float(os.environ.get("STEP_SECONDS", "0")))
    with _bookings() as bookings:
        bookings.execute("INSERT OR IGNORE INTO bookings VALUES (?, ?, ?, ?)", (reference, kind, traveller, price))


def cancel(kind: str, reference: str) -> None:
    """Cancel a reservation. One that does not exist (any more) needs none, and that is no error.

    Raises:
        OutOfOrderError: a file `.perdure/<kind>.down` says so.
    """
    time.sleep(float(os.environ.get("STEP_SECONDS", "0")))
    if (BOOKINGS.parent / f"{kind}.down").exists():
        raise OutOfOrderError(f"the {kind} system does not answer")
    with _bookings() as bookings:
        bookings.execute("DELETE FROM bookings WHERE reference = ?", (reference,))


def booked_for(traveller: str) -> list[str]:
    """Return what a traveller has: flight, hotel, car."""
    with _bookings() as bookings:
        rows = bookings.execute("SELECT kind FROM bookings WHERE traveller = ? ORDER BY rowid", (traveller,))
        return [kind for (kind,) in rows]


@contextmanager
def _bookings() -> Iterator[sqlite3.Connection]:
    BOOKINGS.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(BOOKINGS, timeout=10)) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS bookings (reference TEXT PRIMARY KEY, kind TEXT, traveller TEXT, price TEXT)"
        )
        yield connection
