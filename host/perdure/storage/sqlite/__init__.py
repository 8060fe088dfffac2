"""The embedded provider: one SQLite file, or memory, with nothing but the standard library."""

from perdure.storage.sqlite.database import Database
from perdure.storage.sqlite.queues import SqliteQueues
from perdure.storage.sqlite.storage import SqliteStorage

__all__ = ["Database", "SqliteQueues", "SqliteStorage"]
