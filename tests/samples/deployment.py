"""Samples, run as a host would run them: a copy of the folder, its settings, its triggers."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from perdure.local.app_loading import load_app
from perdure.local.settings import read_local_settings
from tests.functions.driving import AppDriver, content

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"

_OF_A_HOST = ("AzureWebJobs", "AzureFunctionsJobHost", "WEBSITE_", "FUNCTIONS_", "PYTHON_SCRIPT", "OPENAI_")


def sample_folders() -> list[str]:
    """Return every folder of an app, relative to samples/."""
    return sorted(str(path.parent.relative_to(SAMPLES)) for path in SAMPLES.rglob("function_app.py"))


def sample_of(folder: str) -> str:
    """Return the sample that an app's folder belongs to: a sample has a README, and may have several apps."""
    return folder if (SAMPLES / folder / "README.md").is_file() else str(Path(folder).parent)


def environment_of_no_host(monkeypatch) -> None:
    for name in list(os.environ):
        if name.startswith(_OF_A_HOST):
            monkeypatch.delenv(name)


class RunningSample(AppDriver):
    """A sample that runs."""

    def __init__(self, app: Any, folder: Path) -> None:
        super().__init__(app, folder)
        self.folder = folder
        self._started = False

    async def start(self) -> None:
        self._started = True
        await super().start()

    async def stop(self) -> None:
        if self._started:
            await super().stop()

    async def start_with(self, method: str, target: str, body: Any = None, **headers: str) -> str:
        """Start an instance through one of the sample's own routes; return the URL of its status."""
        response = await self.request(method, target, body, **headers)
        assert response.status_code == 202, response.get_body()
        return content(response)["statusQueryGetUri"]

    async def status(self, status_url: str) -> Any:
        return content(await self.request("GET", status_url))

    async def until(self, status_url: str, condition) -> Any:
        """Wait until the status meets a condition; return it."""
        async with asyncio.timeout(30):
            while not condition(status := await self.status(status_url)):
                assert status["runtimeStatus"] in {"Pending", "Running"}, status
                await asyncio.sleep(0.01)
        return status

    async def completed(self, status_url: str) -> Any:
        """Wait for the end; return the output."""
        status = await self.ended(status_url)
        assert status["runtimeStatus"] == "Completed", status
        return status["output"]


class Deployment:
    """One app after the other over one store: deploying stops what ran before."""

    def __init__(self, folder: Path, monkeypatch, apps: Path = SAMPLES) -> None:
        self._folder = folder
        self._apps = apps
        self._monkeypatch = monkeypatch
        self._running: RunningSample | None = None

    async def deploy(self, name: str, edit: tuple[str, str] | None = None, **settings: str) -> RunningSample:
        """Stop what runs, and run a sample; `edit` replaces a piece of its code by another."""
        await self.stop()
        sample = self.load(name, edit, **settings)
        await sample.start()
        return sample

    def load(self, name: str, edit: tuple[str, str] | None = None, **settings: str) -> RunningSample:
        """Import a sample from a copy of its folder, with its local settings where `settings` say nothing else."""
        folder = self._folder / name
        ignored = shutil.ignore_patterns(".perdure", "__pycache__")
        shutil.copytree(self._apps / name, folder, ignore=ignored, dirs_exist_ok=True)
        if edit is not None:
            script = folder / "function_app.py"
            code = script.read_text(encoding="utf-8")
            assert edit[0] in code
            script.write_text(code.replace(*edit), encoding="utf-8")
        for setting, value in (read_local_settings(folder).values | settings).items():
            if setting in settings or setting not in os.environ:
                self._monkeypatch.setenv(setting, value)
        self._monkeypatch.chdir(folder)
        self._running = RunningSample(load_app(folder), folder)
        return self._running

    async def stop(self) -> None:
        """Stop what runs, and forget its modules: the next sample's have the same names."""
        if self._running is None:
            return
        await self._running.stop()
        folder, self._running = str(self._running.folder), None
        sys.path.remove(folder)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(folder):
                del sys.modules[name]
