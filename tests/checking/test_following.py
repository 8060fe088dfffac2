"""The check follows what orchestrators call, in their own file and in others of the app, and imports nothing."""

import sys
import textwrap
from pathlib import Path

import pytest

from perdure.checking import check_app, check_paths, check_source
from tests.checking.marking import found, marked, orchestrator

ROOT = Path(__file__).parent.parent.parent


def write(folder, files):
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
    return folder


def expected(folder):
    return sorted(
        (str(path), line, rule)
        for path in folder.rglob("*.py")
        for line, rule in marked(path.read_text(encoding="utf-8"))
    )


def places(findings):
    return sorted((finding.file, finding.line, finding.rule) for finding in findings)


HELPERS = {
    "a function, and what it calls": """
        def outer(): return inner()
        def inner(): return time.time()  # <- wall-clock
        ---
        yield context.call_activity("a", outer())
        """,
    "functions that call each other": """
        def ping(n): return pong(n - 1) if n else time.time()  # <- wall-clock
        def pong(n): return ping(n)
        ---
        yield context.call_activity("a", ping(3))
        """,
    "a function inside": """
        ---
        def now():
            return time.time()  # <- wall-clock
        def unused():
            return time.time()
        yield context.call_activity("a", now())
        """,
    "a generator that is driven": """
        def steps(ctx, pause):
            yield ctx.create_timer(pause)
            yield 1  # <- not-durable
            time.sleep(1)  # <- sleep
        ---
        yield from steps(context, 1)
        """,
    "a generator that is not": """
        def numbers():
            yield 1
            yield time.time()  # <- wall-clock
        ---
        for number in numbers():
            yield context.call_activity("a", number)
        """,
    "a generator that the orchestrator returns": """
        def steps(ctx):
            yield ctx.call_activity("a")
            yield 1  # <- not-durable
        ---
        from operator import add
        return steps(context)
        """,
    "a helper's context": """
        def steps(durable):
            if not durable.is_replaying:
                yield durable.call_activity("a")  # <- replay-branch
        def more(first, *, of):
            return of.call_activity("a") + 1  # <- not-awaited
        ---
        yield from steps(context)
        more(1, of=context)
        """,
    "a context that arrives on a detour": """
        def outer(x): return inner(x)
        def inner(y): return None if y.is_replaying else y.call_activity("a")  # <- replay-branch
        def late(c): return outer(c)
        ---
        outer(1)
        late(context)
        """,
    "a class of the app": """
        class Base:
            def when(self): return time.time()  # <- wall-clock
        class Steps(Base):
            def __init__(self, context):
                self.id = uuid.uuid4()  # <- uuid
            @property
            def name(self): return os.getenv("A")  # <- environment
            @staticmethod
            def some(): return random.random()  # <- random
            @classmethod
            def make(cls, context): return cls(context)
            def run(self):
                self.private()
                return self.when()
            def private(self): open("a")  # <- io
            def unused(self): open("a")
        ---
        steps = Steps(context)
        print(steps.name, Steps.some(), steps.some(), Steps.make(context))
        yield context.call_activity("a", steps.run())
        """,
    "a parameter's class": """
        class Order:
            def total(self): return random.random()  # <- random
        def total_of(order: "Order | None"): return order.total()
        ---
        yield context.call_activity("a", total_of(context.get_input()))
        """,
    "types that are written in several ways": """
        class Order:
            def total(self): return random.random()  # <- random
            def tax(self): return random.random()  # <- random
            def name(self): return random.random()  # <- random
        def all_of(a: Optional[Order], b: Annotated[Order, "x"], c: list[Order], d: "no(", *e, f: None | Order, **g):
            return a.total(), b.tax(), c.pop(), d.x(), e, f.name(), g
        ---
        yield context.call_activity("a", all_of(*context.get_input()))
        """,
    "classes that are their own bases": """
        class A(A, B): ...
        class B(A, B): ...
        ---
        yield context.call_activity("a", A().anything(), B.whatever())
        """,
    "names that a match binds": """
        ---
        match context.get_input():
            case {"a": random, **time}:
                random.random(), time.time()
            case [uuid, *os]:
                uuid.uuid4(), os.urandom()
        yield context.call_activity("a")
        """,
    "functions that are handed on": """
        def key(x): return random.random()  # <- random
        def again(error): return time.time() > 1  # <- wall-clock
        def never(x): time.time()
        ---
        names = sorted(context.get_input(), key=key)
        yield context.call_activity("a", names, retry_policy=df.RetryPolicy(1, 2, handle=again))
        yield context.call_activity(never)
        """,
    "a lambda": """
        ---
        names = sorted(context.get_input(), key=lambda x: random.random())  # <- random
        yield context.call_activity("a", names)
        """,
}


@pytest.mark.parametrize("case", HELPERS.values(), ids=HELPERS)
def test_helpers_in_the_same_file(case):
    before, _, body = textwrap.dedent(case).partition("---\n")
    source = orchestrator(body, before="import os, random, time, uuid\n" + before)
    assert found(check_source(source, "app.py")) == marked(source)


def test_async_helpers():
    source = orchestrator(
        "await steps(context)",
        before="""
        import foreign
        async def steps(context):
            await context.call_activity("a")
            await foreign.fetch()  # <- not-durable
        async def unused():
            await foreign.fetch()
        """,
        style="async def",
    )
    assert found(check_source(source, "app.py")) == marked(source)


def test_a_finding_in_a_helper_names_an_orchestrator():
    source = orchestrator("helper()", before="import time\ndef helper(): time.sleep(1)")
    (finding,) = check_source(source, "app.py")
    assert finding.message.endswith("(orchestrator 'run' runs this).")


APP = {
    "host.json": "{}",
    "function_app.py": """
        import perdure_functions as df
        import shared.clocks
        from orders import blueprint
        from shared import note
        from shared.clocks import now as moment
        app = df.DFApp()
        app.register_functions(blueprint.bp)

        @app.orchestration_trigger(context_name="context")
        def run(context):
            note(1)
            yield context.create_timer(moment())
            yield context.create_timer(shared.clocks.today())
            blueprint.ship(1)  # <- direct-call
        """,
    "shared/__init__.py": "from .notes import note",
    "shared/notes.py": """
        import random
        from . import clocks
        from .clocks import *
        def note(x): return random.random(), clocks.later(), tomorrow()  # <- random
        """,
    "shared/clocks.py": """
        import time
        def now(): return time.time()  # <- wall-clock
        def today(): return time.time()  # <- wall-clock
        def later(): return time.time()  # <- wall-clock
        def tomorrow(): return time.time()  # <- wall-clock
        def unused(): return time.time()
        """,
    "orders/blueprint.py": """
        import perdure_functions as df
        import random
        from shared.clocks import now
        bp = df.Blueprint()

        @bp.orchestration_trigger(context_name="context")
        def order(context):
            yield context.call_activity(ship, random.random())  # <- random

        @bp.activity_trigger(input_name="x")
        def ship(x): return now()
        """,
    "unrelated.py": """
        raise SystemExit("nobody imports this, and the check least of all")
        """,
}


def test_helpers_in_other_files(tmp_path):
    app = write(tmp_path, APP)
    assert places(check_paths([app])) == expected(app)
    assert places(check_app(app / "function_app.py")) == expected(app)
    assert "unrelated" not in sys.modules


def test_one_file_brings_its_helpers_along_but_not_the_orchestrators_it_imports(tmp_path):
    app = write(tmp_path, APP)
    alone = check_paths([app / "function_app.py"])
    assert places(alone) == [place for place in expected(app) if "blueprint.py" not in place[0]]
    assert [finding.rule for finding in check_paths([app / "orders"])] == ["random"]


def test_imports_begin_in_the_apps_folder_and_do_not_hide_the_standard_library(tmp_path):
    app = write(
        tmp_path,
        {
            "host.json": "{}",
            "flows/time.py": "def sleep(x): ...",
            "flows/flow.py": """
                import time
                import sibling
                @bp.orchestration_trigger(context_name="context")
                def run(context):
                    time.sleep(1)  # <- sleep
                    yield context.create_timer(sibling.now())
                """,
            "flows/sibling.py": "import time\ndef now(): return time.time()  # <- wall-clock\n",
        },
    )
    assert places(check_paths([app])) == expected(app)


def test_packages_without_init(tmp_path):
    app = write(
        tmp_path,
        {
            "lib/deep/clocks.py": "import time\ndef now(): return time.time()  # <- wall-clock\n",
            "a.py": """
                import lib.deep.clocks
                import lib.nowhere as nowhere
                from lib import nothing
                @bp.orchestration_trigger(context_name="context")
                async def run(context):
                    lib.deep.clocks.now()
                    await nowhere.x()
                    await nothing.x()
                """,
        },
    )
    assert places(check_paths([app])) == expected(app)


def test_modules_that_import_each_other(tmp_path):
    app = write(
        tmp_path,
        {
            "a.py": """
                from b import thing, again
                again = thing
                @bp.orchestration_trigger(context_name="context")
                def run(context):
                    again()
                    yield context.call_activity("a")
                """,
            "b.py": "from a import again\nfrom a import thing\nfrom b import *\n",
        },
    )
    assert check_paths([app]) == []


def test_folders_that_are_not_the_apps_code_are_left_out(tmp_path):
    bad = "import time\n@bp.orchestration_trigger('c')\ndef run(c): time.time()\n"
    places_ = [
        ".hidden/a.py",
        ".venv/a.py",
        "venv/a.py",
        "mine/a.py",
        "node_modules/a.py",
        "tests/a.py",
        "test_a.py",
        "conftest.py",
        "lib/site-packages/a.py",
    ]
    app = write(tmp_path, dict.fromkeys(places_, bad) | {"mine/pyvenv.cfg": ""})
    assert check_paths([app]) == []
    assert [finding.rule for finding in check_paths([app / "test_a.py"])] == ["wall-clock"]


def test_files_that_cannot_be_read_are_findings_and_the_others_are_checked(tmp_path):
    app = write(
        tmp_path,
        {
            "a.py": "def run(:\n",
            "b.py": "import a, time\n@bp.orchestration_trigger('c')\ndef run(c): a.x(), time.time()\n",
        },
    )
    (app / "c.py").write_bytes(b"# \xff\n")
    found_rules = [(Path(finding.file).name, finding.rule) for finding in check_paths([app])]
    assert found_rules == [("a.py", "unreadable"), ("b.py", "wall-clock"), ("c.py", "unreadable")]


def test_expressions_of_any_depth(tmp_path):
    long = " + ".join(["1"] * 2000)
    source = orchestrator(f"x = {long} + time.time()  # <- wall-clock", before="import time")
    assert found(check_source(source, "app.py")) == marked(source)
    (finding,) = check_source("-" * 100_000 + "1", "app.py")
    assert finding.rule == "unreadable"


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path):
    write(tmp_path, {"real/a.py": "import time\n@bp.orchestration_trigger('c')\ndef run(c): time.time()\n"})
    app = tmp_path / "app"
    app.mkdir()
    (app / "again").symlink_to(app)
    (app / "real").symlink_to(tmp_path / "real")
    assert check_paths([app]) == []
    (app / "a.py").symlink_to(tmp_path / "real" / "a.py")
    assert [finding.rule for finding in check_paths([app])] == ["wall-clock"]


def test_a_path_that_does_not_exist_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_paths([tmp_path / "nothing"])


def test_our_own_apps_are_clean():
    assert check_paths([ROOT / "function_app.py"]) == []
    assert check_paths([ROOT / "samples"]) == []
