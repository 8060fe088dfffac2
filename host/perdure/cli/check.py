"""`perdure check`: find what breaks the replay of orchestrators."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from perdure.checking import Finding


class Format(Enum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def _show_rules(wanted: bool) -> None:
    if wanted:
        from perdure.checking import RULES

        for rule in RULES.values():
            typer.echo(f"{rule.name}: {rule.finds}. Instead: {rule.instead}.")
        raise typer.Exit


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and folders.", show_default="the current folder"),
    ] = None,
    *,
    form: Annotated[Format, typer.Option("--format", help="How to write findings.")] = Format.TEXT,
    select: Annotated[
        list[str] | None, typer.Option("--select", metavar="RULES", help="Report these rules only; comma-separated.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="RULES", help="Don't report these rules; comma-separated.")
    ] = None,
    _list: Annotated[
        bool, typer.Option("--rules", callback=_show_rules, is_eager=True, help="Show the rules and exit.")
    ] = False,
) -> None:
    """Find what breaks the replay of orchestrators: clocks, randomness, I/O, waiting for what is not durable.

    Nothing is imported or run. Exits with 0 if nothing is found, 1 if something is, 2 if a file can't be read.
    """
    from perdure.checking import RULES, check_paths
    from perdure.checking.reports import report
    from perdure.local.errors import HostError
    from perdure.local.exit_codes import FAILED, WRONG_USAGE

    only, never = _rules(select, "--select"), _rules(ignore, "--ignore")
    try:
        findings = check_paths(paths or [Path()])
    except OSError as error:
        raise HostError(
            f"{error.filename} can't be read: {error.strerror}. Give files and folders that exist.",
            exit_code=WRONG_USAGE,
        ) from error
    shown = [finding for finding in findings if _is_wanted(finding, only or set(RULES), never)]
    for line in report(shown, form.value):
        typer.echo(line)
    if form is Format.TEXT:
        typer.echo(_summary(shown), err=True)
    if any(finding.rule == "unreadable" for finding in shown):
        raise typer.Exit(WRONG_USAGE)
    raise typer.Exit(FAILED if shown else 0)


def _rules(given: list[str] | None, option: str) -> set[str]:
    from perdure.checking import RULES
    from perdure.local.errors import HostError
    from perdure.local.exit_codes import WRONG_USAGE

    names = {name.strip() for text in given or [] for name in text.split(",") if name.strip()}
    unknown = sorted(names - set(RULES))
    if unknown:
        raise HostError(
            f"{option}: there is no rule '{unknown[0]}'. There are {', '.join(RULES)}.", exit_code=WRONG_USAGE
        )
    return names


def _is_wanted(finding: Finding, only: set[str], never: set[str]) -> bool:
    return finding.rule == "unreadable" or (finding.rule in only and finding.rule not in never)


def _summary(findings: list[Finding]) -> str:
    if not findings:
        return "Nothing found that breaks replay."
    files = len({finding.file for finding in findings})
    return f"{_counted(len(findings), 'finding')} in {_counted(files, 'file')}."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
