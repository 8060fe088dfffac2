"""The process that runs functions under a supervisor: `python -m perdure.local.child JSON`.

It stops when the control pipe ends: either the supervisor closed it, or the supervisor is gone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from perdure.local.listening import bind, inherited
from perdure.local.options import HostOptions


def command(options: HostOptions, control_fd: int, listening_fd: int | None, *, show_frames: bool) -> list[str]:
    """Return the command line that runs a host with these options.

    Args:
        options: What to run and how.
        control_fd: Read end of the control pipe.
        listening_fd: The bound socket, None to bind one.
        show_frames: Show the user's traceback lines below an error that prevents the start.
    """
    content = {
        "options": {**vars(options), "app_dir": str(options.app_dir)},
        "control_fd": control_fd,
        "listening_fd": listening_fd,
        "show_frames": show_frames,
    }
    # -P: the app's own files must not shadow the modules that the host itself imports
    return [sys.executable, "-P", "-m", __name__, json.dumps(content)]


def main(text: str) -> int:
    """Run the host that the command line describes; return the exit code."""
    from perdure.local.process import StopRequest, run_host

    content: dict[str, Any] = json.loads(text)
    options = HostOptions(**{**content["options"], "app_dir": Path(content["options"]["app_dir"])})
    fd = content["listening_fd"]
    bound = bind(options.address, options.port) if fd is None else inherited(fd)

    def stop_at_end_of_pipe(stop: StopRequest) -> None:
        def watch() -> None:
            while os.read(content["control_fd"], 1):
                pass
            stop.ask()

        threading.Thread(target=watch, name="control pipe", daemon=True).start()

    return run_host(
        options,
        bound,
        show_frames=content["show_frames"],
        on_ready=stop_at_end_of_pipe,
        obey_interrupt=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
