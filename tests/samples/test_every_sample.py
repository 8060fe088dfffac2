"""What holds for all samples: they are complete, tested, and their READMEs name what exists."""

import json
import re
import shlex
from urllib.parse import urlsplit

import pytest

from perdure.local.settings import read_local_settings
from tests.samples.deployment import ROOT, SAMPLES, sample_folders, sample_of

TESTS = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "samples").glob("test_*.py")} - {"every_sample"}
OVERVIEWS = {SAMPLES / "README.md": "", SAMPLES / "agents" / "README.md": "agents/"}
PLACEHOLDER = "an-id"


def curls(text):
    """Return method and URL of every curl command in Markdown."""
    code = [*re.findall(r"```sh\n(.*?)```", text, re.DOTALL), *re.findall(r"(?<!`)`(curl [^`]+)`", text)]
    for line in "\n".join(code).splitlines():
        words = shlex.split(line.replace("$ID", PLACEHOLDER))
        if words[:1] == ["curl"]:
            method = words[words.index("-X") + 1] if "-X" in words else "GET"
            (url,) = [word for word in words if word.startswith("localhost:")]
            yield method, f"http://{url}"


def test_every_folder_is_a_sample_with_a_test():
    samples = {sample_of(folder) for folder in sample_folders()}
    folders = {path.name for path in SAMPLES.iterdir() if path.is_dir()}
    assert folders == {sample.split("/")[0] for sample in samples}
    assert {sample.replace("/", "_") for sample in samples} == TESTS


def test_the_tables_name_every_sample():
    named = [
        place + name
        for overview, place in OVERVIEWS.items()
        for name in re.findall(r"^\|.*\]\((\w+)/README\.md\)", overview.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert {name.replace("/", "_") for name in named} == TESTS | {"agents"}


@pytest.mark.parametrize("folder", sample_folders())
def test_a_sample_is_a_complete_app(folder):
    app = SAMPLES / folder
    hub = json.loads((app / "host.json").read_text(encoding="utf-8"))["extensions"]["durableTask"]["hubName"]
    others = [each for each in sample_folders() if sample_of(each) != sample_of(folder)]
    assert all(f'"{hub}"' not in (SAMPLES / other / "host.json").read_text(encoding="utf-8") for other in others)
    values = read_local_settings(app).values
    assert values["AzureWebJobsStorage"] == "UseDevelopmentStorage=true", "local values only"
    source = "\n".join(path.read_text(encoding="utf-8") for path in app.glob("*.py"))
    needed = "perdure[agents]" if "df.agents" in source or "agent_framework" in source else "perdure"
    assert (app / "requirements.txt").read_text(encoding="utf-8").splitlines() == [needed]


@pytest.mark.parametrize("folder", sample_folders())
async def test_the_readme_names_what_exists(folder, deployment):
    text = (SAMPLES / sample_of(folder) / "README.md").read_text(encoding="utf-8")
    assert f"perdure start --app-dir samples/{folder}" in text
    driver = deployment.load(folder)
    orchestrators = {each.durable_name for each in driver.app.durable_functions if each.kind == "orchestrator"}
    commands = list(curls(text))
    assert commands
    for method, url in commands:
        match = driver._router.find(method, urlsplit(url).path)
        assert match.route is not None, f"no route for {method} {url}"
        if "functionName" in match.route_params:
            assert match.route_params["functionName"] in orchestrators, url
    for place in re.findall(r"samples/[\w/]+", text):
        known = (ROOT / place.split("/.perdure")[0]).exists()
        assert known, f"{place} does not exist"


@pytest.mark.parametrize("folder", sample_folders())
def test_settings_of_the_sample_are_used(folder):
    source = "\n".join(path.read_text(encoding="utf-8") for path in (SAMPLES / folder).glob("*.py"))
    own = set(read_local_settings(SAMPLES / folder).values) - {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
    for name in own:
        assert name in source or name.lower() in source, f"{name} is a setting that nothing reads"


def test_the_agents_have_the_same_model():
    """Each folder is complete, so each has a copy."""
    copies = {path.read_text(encoding="utf-8") for path in (SAMPLES / "agents").glob("*/models.py")}
    assert len(copies) == 1
