"""The folders that come with bedplate: beside `framework/` in a checkout, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path


def resource(*parts: str) -> Path:
    """The file or folder at `parts`, such as `resource("stacks", "Pulumi.yaml")`."""
    checkout = Path(__file__).parents[2]
    root = checkout if (checkout / "framework").is_dir() else Path(__file__).parent / "_data"
    return root.joinpath(*parts)
