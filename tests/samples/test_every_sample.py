"""What holds for all samples: they are complete, tested, and their READMEs name what exists."""

import json
import re
import shlex
from urllib.parse import urlsplit

import pytest

from perdure.local.settings import read_local_settings
from tests.samples.deployment import ROOT, SAMPLES, sample_folders

TESTS = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "samples").glob("test_*.py")}
PLACEHOLDER = "an-id"


def readme_of(folder):
    """Return the README of an app's folder, or of the one above if a sample has several apps."""
    path = SAMPLES / folder / "README.md"
    return path if path.is_file() else path.parent.parent / "README.md"


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
    folders = {path.name for path in SAMPLES.iterdir() if path.is_dir()}
    assert folders == {folder.split("/")[0] for folder in sample_folders()}
    assert folders == TESTS - {"every_sample"}


def test_the_table_names_every_sample():
    table = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+)/README\.md\)", table)) == TESTS - {"every_sample"}


@pytest.mark.parametrize("folder", sample_folders())
def test_a_sample_is_a_complete_app(folder):
    app = SAMPLES / folder
    hub = json.loads((app / "host.json").read_text(encoding="utf-8"))["extensions"]["durableTask"]["hubName"]
    others = [each for each in sample_folders() if each.split("/")[0] != folder.split("/")[0]]
    assert all(f'"{hub}"' not in (SAMPLES / other / "host.json").read_text(encoding="utf-8") for other in others)
    values = read_local_settings(app).values
    assert values["AzureWebJobsStorage"] == "UseDevelopmentStorage=true", "local values only"
    assert (app / "requirements.txt").read_text(encoding="utf-8").splitlines() == ["perdure"]


@pytest.mark.parametrize("folder", sample_folders())
async def test_the_readme_names_what_exists(folder, deployment):
    text = readme_of(folder).read_text(encoding="utf-8")
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
