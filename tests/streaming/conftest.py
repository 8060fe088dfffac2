import itertools

import pytest

from perdure.streaming import StreamDesk, StreamOpening, StreamReader
from tests.storage import conftest as stores
from tests.storage.providers import new_row

provider = stores.provider
storage = stores.storage


class Streams:
    """Streams of one store, as tests deal with them."""

    def __init__(self, store):
        self.storage = store
        self._numbers = itertools.count(1)

    async def begin(self, instance_id="one", **columns):
        columns = {"execution_id": f"e{next(self._numbers)}"} | columns
        row = new_row(instance_id, **columns)
        row.etag = await self.storage.insert(row)
        return row

    def write(self, name="talk", step="a", instance_id="one") -> StreamOpening:
        desk = StreamDesk(self.storage, lambda: f"writer-{next(self._numbers)}")
        return desk.opening(instance_id, name, step)

    async def page(self, cursor=None, name="talk", instance_id="one", **options):
        return await StreamReader(self.storage, instance_id, name).read(cursor, **options)

    async def read(self, name="talk", instance_id="one"):
        """Everything that is there, as `event: data`."""
        page = await self.page(name=name, instance_id=instance_id)
        return [said(item) for item in page.items]


def said(item):
    if item.event == "restart":
        return f"restart: {item.data['superseded']}"
    if item.event == "end":
        rest = item.data.get("result", item.data.get("error"))
        return f"end: {item.data['status']} {rest}"
    return item.data if item.event == "message" else f"{item.event}: {item.data}"


@pytest.fixture
async def streams(storage):
    streams = Streams(storage)
    await streams.begin()
    return streams
