"""Two processes meet at a new database file, one between the other's looks at it."""

from __future__ import annotations

import sqlite3

from perdure.storage.sqlite import schema


class Interrupted:
    """A connection that lets another process create the tables right after its first look."""

    def __init__(self, connection, path):
        self._connection = connection
        self._path = path
        self._looks = 0

    def execute(self, statement):
        result = self._connection.execute(statement).fetchall()
        self._looks += 1
        if self._looks == 1:
            schema.connect(self._path).close()
        return _Rows(result)


class _Rows:
    def __init__(self, rows):
        self._rows = rows

    def fetchone(self):
        return self._rows[0]


def test_a_file_that_is_just_being_created_is_not_taken_for_another_programs(tmp_path):
    path = tmp_path / "store.db"
    looking = sqlite3.connect(path, isolation_level=None)
    assert schema._check_identity(Interrupted(looking, path), path) is True
    looking.close()
