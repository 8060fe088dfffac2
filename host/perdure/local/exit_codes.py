"""Exit codes between host process, supervisor and command line."""

FAILED = 1
WRONG_USAGE = 2
"""A wrong option, or a tool that is missing on this machine."""

START_FAILED = 70
"""A host process could not start and has said why; the command line makes 1 of it."""

SECOND_INTERRUPT = 130
"""Ctrl-C again while draining."""
