"""Functions of the standard library and of well-known packages that orchestrators must not call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """Why a function is not for orchestrators.

    `sentence` has the places {what}, the call as it is written, and {context}, what the context is called there.
    """

    rule: str
    sentence: str
    fewer_than: int | None = None
    """Only calls with fewer arguments than this are meant: time.ctime() reads the clock, time.ctime(0) does not."""


_CLOCK = (
    "{what} reads the machine's clock, which shows another time in each replay: use {context}.current_utc_datetime."
)
_CHANCE = "{what} gives something else in each replay: use {context}.random()."
_ID = "{what} makes another id in each replay: use {context}.new_uuid()."
_IDENTITY = "{what} differs from process to process, and so between replays: use hashlib, or the value itself."
_SLEEP = "{what} waits in memory, and again in each replay: wait for {context}.create_timer(timedelta(...))."
_IO = "{what} reaches outside, and each replay does it again: do it in an activity."
_HTTP = "{what} reaches outside, and each replay does it again: use {context}.call_http(...), or an activity."
_ENVIRONMENT = (
    "{what} may say something else where the replay runs: put it into the orchestration's input, or read it in an "
    "activity."
)
_THREADS = "{what} runs outside of the history: start activities, and wait for them with {context}.task_all([...])."
_WITH_TIMER = (
    "{what} is not durable: use {context}.task_any([task, timer]) with a timer of {context}.create_timer(...)."
)
_LOOP = "{what} is not durable: {context}'s own tasks, task_all and task_any are all that an orchestrator can wait for."


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _each(module: str, names: str, entry: Entry) -> dict[str, Entry]:
    return {f"{module}.{name}" if module else name: entry for name in names.split()}


_clock = Entry("wall-clock", _CLOCK)
_clock_now = Entry("wall-clock", _CLOCK, fewer_than=1)
_chance = Entry("random", _CHANCE)
_unseeded = Entry("random", _CHANCE, fewer_than=1)
_sleep = Entry("sleep", _SLEEP)
_io = Entry("io", _IO)
_http = Entry("io", _HTTP)
_environment = Entry("environment", _ENVIRONMENT)
_threads = Entry("threads", _THREADS)

FUNCTIONS: dict[str, Entry] = {
    **_each("datetime.datetime", "now utcnow today", _clock),
    **_each("datetime.date", "today", _clock),
    **_each(
        "time",
        "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time "
        "thread_time_ns clock_gettime clock_gettime_ns",
        _clock,
    ),
    **_each("time", "localtime gmtime ctime asctime", _clock_now),
    "time.strftime": Entry("wall-clock", _CLOCK, fewer_than=2),
    **_each("", "pandas.Timestamp.now pandas.Timestamp.utcnow pandas.Timestamp.today", _clock),
    **_each("", "arrow.now arrow.utcnow pendulum.now pendulum.today pendulum.tomorrow pendulum.yesterday", _clock),
    **_each("django.utils.timezone", "now localtime localdate", _clock_now),
    **_each(
        "random",
        "random randint randrange randbytes getrandbits choice choices sample shuffle uniform triangular betavariate "
        "expovariate gammavariate gauss lognormvariate normalvariate vonmisesvariate paretovariate weibullvariate "
        "binomialvariate seed setstate SystemRandom",
        _chance,
    ),
    "random.Random": _unseeded,
    **_each("secrets", "token_bytes token_hex token_urlsafe choice randbelow randbits SystemRandom", _chance),
    **_each("os", "urandom getrandom", _chance),
    **_each("numpy.random", "default_rng RandomState SeedSequence PCG64 MT19937", _unseeded),
    **_each("uuid", "uuid1 uuid4 uuid6 uuid7 getnode", Entry("uuid", _ID)),
    "uuid.uuid8": Entry("uuid", _ID, fewer_than=3),
    **_each("", "shortuuid.uuid shortuuid.random ulid.new ulid.ULID nanoid.generate cuid.cuid", Entry("uuid", _ID)),
    **_each("builtins", "hash id", Entry("identity", _IDENTITY)),
    **_each("", "time.sleep asyncio.sleep anyio.sleep trio.sleep gevent.sleep eventlet.sleep", _sleep),
    **_each("builtins", "open input", _io),
    **_each("io", "open open_code FileIO", _io),
    **_each(
        "os",
        "open read write fdopen listdir scandir walk fwalk stat lstat access chdir chmod chown mkdir makedirs remove "
        "removedirs rename renames replace rmdir unlink link symlink readlink truncate utime system popen kill fork "
        "execv execve execvp spawnl spawnv posix_spawn startfile statvfs",
        _io,
    ),
    **_each("os.path", "exists lexists isfile isdir islink ismount getsize getmtime getatime getctime realpath", _io),
    **_each("fileinput", "input FileInput", _io),
    **_each("zipfile", "ZipFile", _io),
    **_each("tarfile", "open", _io),
    **_each("gzip", "open", _io),
    **_each("", "numpy.load numpy.loadtxt numpy.save numpy.savetxt", _io),
    **_each(
        "pandas",
        "read_csv read_excel read_json read_parquet read_sql read_sql_query read_sql_table read_table read_html "
        "read_pickle read_feather read_xml",
        _io,
    ),
    **_each("polars", "read_csv read_excel read_json read_parquet read_database scan_csv scan_parquet", _io),
    **_each("sqlalchemy", "create_engine Engine.connect Engine.begin", _io),
    **_each("sqlalchemy.orm", "Session", _io),
    **_each("sqlalchemy.ext.asyncio", "create_async_engine AsyncSession", _io),
    **_each("os", "getenv getenvb getpid getppid getcwd getlogin getuid cpu_count uname gethostname", _environment),
    **_each("socket", "gethostname getfqdn", _environment),
    **_each("platform", "node uname platform machine system release version processor", _environment),
    **_each("getpass", "getuser", _environment),
    **_each("asyncio", "to_thread run_coroutine_threadsafe", _threads),
    **_each("", "joblib.Parallel anyio.to_thread.run_sync", _threads),
}
"""By full name."""

PATH_METHODS = _names(
    "read_text read_bytes write_text write_bytes open exists is_file is_dir is_symlink iterdir glob rglob walk "
    "stat lstat mkdir rmdir unlink touch rename replace resolve cwd home expanduser symlink_to hardlink_to chmod "
    "samefile readlink owner group"
)
"""Methods of pathlib.Path that look at the disk."""

MODULES: dict[str, Entry] = {
    **_each("", "numpy.random", _chance),
    **_each("", "threading _thread multiprocessing concurrent.futures", _threads),
    **_each("", "asyncio anyio trio", Entry("not-durable", _LOOP)),
    **_each("", "requests httpx aiohttp urllib.request urllib3 http.client", _http),
    **_each(
        "",
        "subprocess shutil tempfile glob socket ftplib smtplib imaplib poplib telnetlib sqlite3 dbm shelve webbrowser "
        "psycopg psycopg2 asyncpg pymysql mysql.connector pyodbc aiosqlite aiofiles websockets paramiko pymongo motor "
        "redis boto3 aioboto3 smart_open aiosmtplib",
        _io,
    ),
}
"""By package: everything in it that does something."""

CLIENTS: dict[str, Entry] = {
    **_each("", "azure openai anthropic google msgraph slack_sdk twilio stripe elasticsearch", _io)
}
"""By package: what belongs to a class whose name says that it talks to a service."""

CLIENT_NAMES = ("Client", "Credential", "OpenAI", "Anthropic", "Elasticsearch")

PURE = _names(
    "httpx.URL httpx.Headers httpx.QueryParams httpx.Timeout httpx.Limits httpx.Request httpx.Response "
    "httpx.BasicAuth requests.Request requests.Response requests.codes requests.utils requests.compat "
    "requests.structures requests.auth aiohttp.ClientTimeout aiohttp.BasicAuth aiohttp.FormData "
    "urllib.request.Request urllib.request.quote urllib.request.unquote urllib3.util urllib3.Timeout "
    "urllib3.Retry sqlite3.Row sqlite3.Binary subprocess.list2cmdline glob.escape glob.translate glob.has_magic "
    "shutil.ignore_patterns socket.inet_aton socket.inet_ntoa socket.inet_pton socket.inet_ntop socket.htons "
    "socket.htonl socket.ntohs socket.ntohl asyncio.iscoroutine asyncio.iscoroutinefunction asyncio.isfuture "
    "boto3.dynamodb.conditions pymongo.UpdateOne pymongo.InsertOne pymongo.DeleteOne pymongo.ASCENDING "
    "redis.commands psycopg.sql psycopg2.sql numpy.random.Generator numpy.random.RandomState aiohttp.typedefs "
    "azure.functions azure.durable_functions"
)
"""What is harmless in those packages, with everything in it."""

SEEDED = ("random.Random", "numpy.random.Generator", "numpy.random.RandomState")
"""Generators that are deterministic if they are seeded so, unless orchestrations share them."""

ADVICE = {
    "asyncio.gather": "{what} is not durable: use {context}.task_all([...]).",
    "asyncio.wait": "{what} is not durable: use {context}.task_any([...]), or task_all.",
    "asyncio.as_completed": "{what} is not durable: use {context}.task_any([...]) in a loop.",
    "asyncio.wait_for": _WITH_TIMER,
    "asyncio.timeout": _WITH_TIMER,
    "asyncio.create_task": "{what} is not durable: what {context}.call_activity(...) returns runs already.",
    "asyncio.ensure_future": "{what} is not durable: what {context}.call_activity(...) returns runs already.",
    "asyncio.TaskGroup": "{what} is not durable: use {context}.task_all([...]).",
}
"""Sentences that say more than their module's."""


def entry_for(name: str, *, arguments: int, shared: bool = False) -> Entry | None:
    """Return why an orchestrator must not call a function, None if nothing speaks against it.

    Args:
        name: the function's full name.
        arguments: how many arguments the call has.
        shared: it is a method of an object that all orchestrations of the process share.
    """
    owner, _, last = name.rpartition(".")
    if owner in SEEDED:
        return _chance if shared else None
    if owner == "pathlib.Path":
        return _io if last in PATH_METHODS else None
    found = FUNCTIONS.get(name)
    if found is not None:
        return found if found.fewer_than is None or arguments < found.fewer_than else None
    if last.endswith(("Error", "Exception", "Warning")) or any(part in PURE for part in _prefixes(name)):
        return None
    if name in ADVICE:
        return Entry("not-durable", ADVICE[name])
    return _by_package(name)


def _by_package(name: str) -> Entry | None:
    for package in _prefixes(name):
        if package in MODULES:
            return MODULES[package]
        if package in CLIENTS and any(part.endswith(CLIENT_NAMES) for part in name.split(".")):
            return CLIENTS[package]
    return None


def _prefixes(name: str) -> list[str]:
    """Return `a.b.c`, `a.b` and `a` for `a.b.c`."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
