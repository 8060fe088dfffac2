"""Sources that say themselves what is to be found in them: `# <- rule` at the end of a line, one rule or several."""

import re
import textwrap

HEADER = """
import azure.durable_functions as df
app = df.DFApp()

@app.activity_trigger(input_name="name")
def greet(name): ...
"""


def marked(source):
    """The places that a source marks: (line, rule)."""
    return sorted(
        (number, rule)
        for number, line in enumerate(source.splitlines(), 1)
        for rule in (re.split(r",\s*", line.partition("# <- ")[2].strip()) if "# <- " in line else [])
    )


def found(findings):
    return sorted((finding.line, finding.rule) for finding in findings)


def orchestrator(body, *, before="", style="def"):
    """A module with one orchestrator."""
    lines = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    head = textwrap.dedent(before).strip("\n")
    return f'{HEADER}\n{head}\n\n@app.orchestration_trigger(context_name="context")\n{style} run(context):\n{lines}\n'
