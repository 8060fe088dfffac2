"""Two processes meet at a new database file, one between the other's looks at it."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from perdure.storage.sqlite import schema


class Interrupted:
    """A connection that lets another one create the tables right after one of its looks, if the file allows that."""

    def __init__(self, connection, path, look):
        self._connection = connection
        self._looks = 0
        self._look = look
        self.other = threading.Thread(target=lambda: schema.connect(path).close())

    @property
    def in_transaction(self):
        return self._connection.in_transaction

    def execute(self, statement):
        result = self._connection.execute(statement).fetchall()
        self._looks += 1
        if self._looks == self._look:
            self.other.start()
            self.other.join(0.3)
        return _Rows(result)


class _Rows:
    def __init__(self, rows):
        self._rows = rows

    def fetchone(self):
        return self._rows[0]


@pytest.mark.parametrize("look", [1, 2, 3, 4, 5])
def test_a_file_that_is_just_being_created_is_not_taken_for_another_programs(tmp_path, look):
    path = tmp_path / "store.db"
    looking = sqlite3.connect(path, isolation_level=None)
    interrupted = Interrupted(looking, path, look)
    schema._look(interrupted, path)
    interrupted.other.join()
    assert schema._look(looking, path) is True
    looking.close()
