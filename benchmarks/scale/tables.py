"""What a run found, as tables: for the terminal, and as Markdown for docs/scale.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

_BEGINS, _ENDS = "<!-- {name} -->", "<!-- end of {name} -->"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a name, which a page's marks bear, too."""

    name: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]

    def show(self, console: Console) -> None:
        """Print it."""
        shown = RichTable(*self.headers, title=self.name, title_justify="left")
        for row in self.rows:
            shown.add_row(*row)
        console.print(shown)

    def put_into(self, page: Path) -> None:
        """Put it into a page between its marks, in place of what is there. Raises ValueError if there are none."""
        text = page.read_text(encoding="utf-8")
        opening, closing = _BEGINS.format(name=self.name), _ENDS.format(name=self.name)
        before, begins, rest = text.partition(opening)
        _, ends, after = rest.partition(closing)
        if not (begins and ends):
            raise ValueError(f"{page.name} has no place for '{self.name}': {opening} ... {closing}")
        page.write_text("\n".join([before + begins, "", *self._lines(), "", ends + after]), encoding="utf-8")

    def _lines(self) -> Iterator[str]:
        yield f"| {' | '.join(self.headers)} |"
        yield f"|---|{'---:|' * (len(self.headers) - 1)}"
        for row in self.rows:
            yield f"| {' | '.join(row)} |"


def number(value: float) -> str:
    """Write a figure with three digits that count, and thousands apart."""
    if value >= 100:  # noqa: PLR2004 - from here on no digit behind the point counts
        return f"{round(value):,}"
    return f"{value:.3g}"
