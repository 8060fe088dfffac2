"""docs/streams.md: its example is run, in a harness and by itself; so are activities that are not async."""

import re
import sys
import types
from pathlib import Path

import pytest

from perdure.testing import AppHarness, run_orchestrator
from tests.streaming.conftest import said

PAGE = (Path(__file__).parents[2] / "docs" / "streams.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def page(monkeypatch):
    module = types.ModuleType("streams_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(BLOCKS[0], vars(module))  # noqa: S102 - it is our own page

    async def model(what):
        for word in ("once", "upon", what):
            yield word

    module.model = model
    return module


async def items(client, instance_id, name="words"):
    return [said(item) async for item in client.stream(instance_id, name)]


def test_the_example_in_a_harness(page):
    with AppHarness(page.app) as harness:
        instance_id = harness.start("write_story")
        assert harness.wait(instance_id).output == "once upon once upon the outline"

        heard = harness.run(lambda client: items(client, instance_id))

    assert heard == ["once", "upon", "the outline", "once", "upon", "once upon the outline", "end: completed None"]


def test_the_example_by_itself(page):
    run = run_orchestrator(page.write_story, app=page.app)

    assert run.output == "once upon once upon the outline"


def talkative_app():
    import perdure_functions as df

    app = df.DFApp()

    @app.orchestration_trigger("context")
    def talk(context):
        return (yield context.call_activity(say, "hello"))

    @app.activity_trigger("what")
    def say(what):
        with df.activity_context().stream("words") as stream:
            for letter in what:
                stream.write(letter)
            return stream.complete(what.upper())

    return app, talk


def test_an_activity_that_is_not_async_in_a_harness():
    app, _ = talkative_app()
    with AppHarness(app) as harness:
        instance_id = harness.start("talk")
        assert harness.wait(instance_id).output == "HELLO"
        assert harness.run(lambda client: items(client, instance_id)) == [*"hello", "end: completed None"]


async def test_an_activity_that_is_not_async_by_itself_within_an_async_test():
    app, talk = talkative_app()

    assert run_orchestrator(talk, app=app).output == "HELLO"
