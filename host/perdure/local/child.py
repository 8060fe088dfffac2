"""The process that runs functions under a supervisor: `python -m perdure.local.child OPTIONS CONTROL_FD`.

It stops when the control pipe ends: either the supervisor closed it, or the supervisor is gone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from perdure.local.options import HostOptions


def command(options: HostOptions, control_fd: int, *, show_frames: bool) -> list[str]:
    """Return the command line that runs a host with these options."""
    content = {**vars(options), "app_dir": str(options.app_dir), "show_frames": show_frames}
    return [sys.executable, "-m", __name__, json.dumps(content), str(control_fd)]


def main(arguments: list[str]) -> int:
    """Run the host that the command line describes; return the exit code."""
    from perdure.local.process import StopRequest, run_host

    content: dict[str, Any] = json.loads(arguments[0])
    control_fd = int(arguments[1])
    show_frames = bool(content.pop("show_frames"))
    options = HostOptions(**{**content, "app_dir": Path(content["app_dir"])})

    def stop_at_end_of_pipe(stop: StopRequest) -> None:
        def watch() -> None:
            while os.read(control_fd, 1):
                pass
            stop.ask()

        threading.Thread(target=watch, name="control pipe", daemon=True).start()

    return run_host(options, show_frames=show_frames, on_ready=stop_at_end_of_pipe, obey_interrupt=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
