"""Durable streams: what an activity says bit by bit is stored as it comes, and is read once and in order."""

from perdure.streaming.item import StreamItem, StreamPage
from perdure.streaming.opening import StreamDesk, StreamOpening, SyncStreamWriter
from perdure.streaming.patience import StreamUnavailable
from perdure.streaming.reader import StreamReader
from perdure.streaming.writer import StreamClosedError, StreamWriter

__all__ = [
    "StreamClosedError",
    "StreamDesk",
    "StreamItem",
    "StreamOpening",
    "StreamPage",
    "StreamReader",
    "StreamUnavailable",
    "StreamWriter",
    "SyncStreamWriter",
]
