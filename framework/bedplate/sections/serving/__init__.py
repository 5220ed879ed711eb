"""Serving: model servers, how big they are, what they promise, and how a change reaches their callers.

model.py    the grammar
checks.py   what is wrong across fields and sections; golden.py: the tests; gates.py: what a canary can decide
images.py   the images of bedplate's own server
compile.py  an entry to a Service
"""

from __future__ import annotations

from bedplate.sections.serving.checks import check
from bedplate.sections.serving.compile import compile  # noqa: A004 - the stage's name
from bedplate.sections.serving.golden import files
from bedplate.sections.serving.model import Model

KEY = "serving"

__all__ = ["KEY", "Model", "check", "compile", "files"]
