"""Findings as text, as JSON, and as annotations that GitHub shows in a pull request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from perdure.checking.finding import Finding


def report(findings: Sequence[Finding], form: Literal["text", "json", "github"]) -> list[str]:
    """Return the lines of a report."""
    match form:
        case "text":
            return [str(finding) for finding in findings]
        case "json":
            return [json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False)]
        case "github":
            return [_annotation(finding) for finding in findings]


def _annotation(finding: Finding) -> str:
    """Return a workflow command: https://docs.github.com/actions/reference/workflow-commands-for-github-actions."""
    properties = {
        "file": finding.file,
        "line": str(finding.line),
        "col": str(finding.column),
        "title": f"perdure check: {finding.rule}",
    }
    told = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return f"::error {told}::{_escaped(finding.message)}"


def _escaped(text: str, more: str = "") -> str:
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text
