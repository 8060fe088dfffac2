"""Many things at once: all are tried, and the first that failed is told."""

import pytest

from perdure.engine.side_by_side import side_by_side


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_all_are_tried_though_all_fail(count):
    tried = []

    async def fail(number):
        tried.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"^0$"):
        await side_by_side(fail, range(count))
    assert tried == list(range(count))
