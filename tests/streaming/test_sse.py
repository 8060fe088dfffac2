import pytest

from perdure.streaming.item import StreamItem
from perdure.streaming.sse import sse_event, sse_item


def test_an_event_has_its_data_in_one_line_of_ascii():
    assert sse_event({"text": "a\nb\r\u2028ä"}) == 'data: {"text": "a\\nb\\r\\u2028\\u00e4"}\n\n'


def test_an_item_has_its_cursor_for_an_id_and_its_event_unless_that_is_the_usual_one():
    assert sse_item(StreamItem("x.1.0", "message", 1, "s")) == "id: x.1.0\ndata: 1\n\n"
    assert sse_item(StreamItem("x.1.0", "restart", {}, "s")) == "id: x.1.0\nevent: restart\ndata: {}\n\n"


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b"])
def test_no_field_can_smuggle_in_another(field, text):
    with pytest.raises(ValueError, match="one line"):
        sse_event(1, **{field: text})
