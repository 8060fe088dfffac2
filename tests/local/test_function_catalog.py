import functools
import sys

import azure.functions as func
import pytest

from perdure.local.app_loading import load_app
from perdure.local.catalog import read_functions
from perdure.local.errors import HostError

PATH = "AzureWebJobsStorage"


def read(app, tmp_path, environ=None):
    return read_functions(app, tmp_path, environ or {})


def test_a_function_is_read_with_its_bindings(tmp_path):
    app = func.FunctionApp()

    @app.function_name("Copy")
    @app.route(route="copy/{id}", methods=["POST"])
    @app.queue_output(arg_name="out", queue_name="copies", connection=PATH)
    async def copy(req: func.HttpRequest, out: func.Out[str], context: func.Context) -> func.HttpResponse:
        raise NotImplementedError

    [function] = read(app, tmp_path)
    assert function.name == "Copy"
    assert function.is_async
    assert function.takes_context
    assert (function.trigger.name, function.trigger.type) == ("req", "httpTrigger")
    assert function.trigger.fields["route"] == "copy/{id}"
    assert function.trigger.fields["methods"] == ["POST"]
    assert [(binding.name, binding.type) for binding in function.outputs] == [("out", "queue")]
    assert function.return_binding is not None
    assert function.annotations["req"] is func.HttpRequest
    assert not function.internal
    assert not function.disabled


def test_a_parameter_named_context_may_be_a_binding(tmp_path):
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="context", queue_name="q", connection=PATH)
    def work(context): ...

    [function] = read(app, tmp_path)
    assert not function.takes_context
    assert not function.is_async


def test_internal_and_disabled_functions_are_marked(tmp_path):
    class App(func.FunctionApp):
        internal_functions = frozenset({"pump"})

    app = App()

    @app.queue_trigger(arg_name="msg", queue_name="q", connection=PATH)
    def pump(msg): ...

    @app.queue_trigger(arg_name="msg", queue_name="q", connection=PATH)
    def mine(msg): ...

    functions = read(app, tmp_path, {"AzureWebJobs.mine.Disabled": "True"})
    assert [(item.internal, item.disabled) for item in functions] == [(True, False), (False, True)]


def queue_app(name="work", parameter="msg", function=None):
    app = func.FunctionApp()

    def default(msg): ...

    decorated = function or default
    app.function_name(name)(app.queue_trigger(arg_name=parameter, queue_name="q", connection=PATH)(decorated))
    return app


def named_alike():
    app = func.FunctionApp()
    for name in ("Work", "work"):

        @app.function_name(name)
        @app.queue_trigger(arg_name="msg", queue_name="q", connection=PATH)
        def work(msg): ...

    return app


def named_the_same():
    app = func.FunctionApp()
    for _ in range(2):

        @app.queue_trigger(arg_name="msg", queue_name="q", connection=PATH)
        def work(msg): ...

    return app


def without_trigger():
    app = func.FunctionApp()

    @app.queue_output(arg_name="out", queue_name="q", connection=PATH)
    def work(out): ...

    return app


def with_callable_object():
    class Work:
        __name__ = "work"

        def __call__(self, msg): ...

    return queue_app(function=Work())


def with_partial():
    def work(extra, msg): ...

    return queue_app(function=functools.update_wrapper(functools.partial(work, 1), work))


def with_unknown_hint():
    def work(msg: "Missing"): ...  # noqa: F821 - the point of the test

    return queue_app(function=work)


@pytest.mark.parametrize(
    ("app", "complaint"),
    [
        (named_alike(), "Two functions are named Work and work"),
        (named_the_same(), "Function work does not have a unique function name"),
        (without_trigger(), "Function work does not have a trigger"),
        (queue_app(name="1st"), "'1st' can't be a function's name"),
        (queue_app(name="a b"), "'a b' can't be a function's name"),
        (queue_app(name="x" * 129), "can't be a function's name"),
        (queue_app(name="host"), "'host' can't be a function's name"),
        (queue_app(parameter="my_msg"), "binding named 'my_msg': .* no underscore"),
        (queue_app(parameter="other"), "parameters that no binding fills: msg"),
        (queue_app(function=lambda: None), "bindings without a parameter: msg"),
        (with_callable_object(), "a callable object"),
        (with_partial(), "partial, a callable object"),
        (with_unknown_hint(), "type hints of function work can't be resolved: name 'Missing'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "app",
)
def test_rules_of_azure_are_enforced_in_one_line(app, complaint, tmp_path):
    with pytest.raises(HostError, match=complaint) as raised:
        read(app, tmp_path)
    assert "\n" not in str(raised.value)


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "function_app", raising=False)

    def write_and_load(source):
        (tmp_path / "function_app.py").write_text(source, encoding="utf-8")
        try:
            return load_app(tmp_path)
        finally:
            sys.modules.pop("function_app", None)

    return write_and_load


def test_the_app_is_found_by_its_type(load):
    app = load("import azure.functions as func\nbp = func.Blueprint()\nwhatever = func.FunctionApp()\n")
    assert isinstance(app, func.FunctionApp)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = 1", "has no app"),
        ("import azure.functions as f\na = f.FunctionApp()\nb = f.FunctionApp()", r"several apps \(a, b\)"),
        ("import azure.functions as f\na = b = f.FunctionApp()", r"binds the app to several names \(a, b\)"),
        ("\nimport not_there\n", "function_app.py, line 2: ModuleNotFoundError: .* Is it in requirements.txt"),
        ("def f(:\n", "function_app.py, line 1: SyntaxError: "),
        ("def f():\n    raise ValueError('two\\nlines')\nf()", "function_app.py, line 2: ValueError: two"),
        ("import sys\nsys.exit(3)", "function_app.py, line 2: SystemExit: 3"),
        ("from perdure.errors import SettingsError\nraise SettingsError('Say hub.')", "^Say hub.$"),
    ],
)
def test_what_is_wrong_with_the_script_is_told(load, source, complaint):
    with pytest.raises(HostError, match=complaint):
        load(source)


def test_an_error_carries_the_users_own_frames_only(load):
    with pytest.raises(HostError) as raised:
        load("import json\ndef parse():\n    return json.loads('x')\nparse()\n")
    assert [frame.split(", in ")[1].splitlines()[0] for frame in raised.value.frames] == ["<module>", "parse"]
