"""Pictures to test with: of the examples, and of names that no grammar permits."""

from __future__ import annotations

import shutil
from pathlib import Path

from bedplate.cli.project import check_file
from bedplate.compiler import compile_project
from bedplate.picture.model import LINK, REFERENCE, RESOURCE, Card, Part, Picture, Stack, picture
from tests.spec.cases import MODEL
from tests.whole import REPOSITORY

HOSTILE = (
    'x"]; click n0 href "javascript:alert(1)"',
    "<script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1">',
    "</text></svg><script>window.hacked = 1</script>",
    "`**md**`\n%%{init: {}}%%",
    "end",
    "#quot; &amp; #35;",
    "a|b{c}(d)[e]>f",
    "---\ntitle: x",
    "\x1b[31m\x00\ufffe]]> --> n1",
    "1. list",
    "subgraph s9",
)


def of_spec(spec: Path, environment: str) -> Picture:
    """The picture of a valid spec."""
    project = check_file(spec)[0][environment]
    return picture(project, compile_project(project))


def flights(folder: Path) -> Path:
    """The spec of examples/flights in a folder, with a model in the place of the one that is trained."""
    (folder / "models").mkdir(parents=True)
    shutil.copy(MODEL, folder / "models" / "delay.onnx")
    return Path(shutil.copy(REPOSITORY / "examples" / "flights" / "bedplate.yaml", folder))


def hostile() -> Picture:
    """Every name in it tries to be more than a name."""
    first = f"models.{HOSTILE[0]}"
    cards = [
        Card(f"models.{name}", name, (Part(name, f"a:b:{name}", name, protected=True),), {first: (LINK,)})
        for name in HOSTILE
    ]
    stacks = (Stack(HOSTILE[7], tuple(cards[:6])), Stack("end", tuple(cards[6:])))
    return Picture(HOSTILE[1], HOSTILE[0], HOSTILE[2], stacks)


def card(address: str, parts: int = 1, uses: tuple[str, ...] = (), why: str = LINK) -> Card:
    """An entry with resources of made-up kinds, the second of which comes after the first."""
    made = [Part(f"p{n}", f"a:b:Kind{n}", f"Kind{n}", ("p0",) if n == 1 else ()) for n in range(parts)]
    return Card(address, "bedplate.yaml:1:1", tuple(made), dict.fromkeys(uses, (why,)))


def crossing() -> Picture:
    """Arrows of every sort: over a stack, within one, back, several into one card, two between the same."""
    return Picture(
        "demo",
        "prod",
        "kubernetes",
        (
            Stack("base", (card("environments.prod", 2),)),
            Stack(
                "models",
                (card("models.a", 1, ("later.z",), REFERENCE), card("models.b"), card("models.c", 0)),
            ),
            Stack(
                "serving",
                (
                    card("serving.a", 10, ("models.a",)),
                    card("serving.b", 4, ("models.b", "models.c", "serving.a"), RESOURCE),
                    card("serving.c", 0),
                ),
            ),
            Stack(
                "later",
                (card("later.y", 2, ("serving.a", "models.a")), card("later.z", 3, ("models.c",), REFERENCE)),
            ),
        ),
    )
