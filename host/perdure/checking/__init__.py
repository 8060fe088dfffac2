"""The determinism check: reads the source of orchestrators and tells what breaks their replay.

It imports and runs nothing of what it reads. `check_paths` and `check_source` are the way in; `codebase` finds the
modules, `values` and `scope` tell what a name stands for, `reach` finds what orchestrators call, and each of the files
named after a rule finds one kind of trouble.
"""

from perdure.checking.check import check_app, check_paths, check_source
from perdure.checking.finding import Finding
from perdure.checking.rules import RULES, Rule

__all__ = ["RULES", "Finding", "Rule", "check_app", "check_paths", "check_source"]
