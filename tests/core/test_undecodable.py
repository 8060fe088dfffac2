"""What stored bytes and queue messages can't be read as ours is a DataError, whatever it is."""

import pytest

from perdure.core.codec import decode_head, decode_message, decode_record, decode_turns
from perdure.errors import DataError

DEEP = 100_000
TEXTS = [
    "",
    "null",
    "[]",
    "{",
    "[" * DEEP,
    '{"a":' * DEEP,
    '["start","x"]',
    '["nonsense"]',
    "\ud800",
    '"' + "\\" * 99,
]
BYTES = [b"\x00", b"\x00\xc1", b"\x01", b"\x01nonsense", b"\x03", b"\x00" + b"\x91" * DEEP, b"\xff" * 9]


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_that_is_none(text):
    with pytest.raises(DataError, match="a queue message can't be read"):
        decode_message(text)


@pytest.mark.parametrize("data", BYTES)
@pytest.mark.parametrize("decode", [decode_turns, decode_head, decode_record])
def test_stored_bytes_that_are_none(decode, data):
    with pytest.raises(DataError, match="can't be read"):
        decode(data)
