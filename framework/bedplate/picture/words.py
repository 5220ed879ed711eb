"""What the picture says in words: for who cannot see it, and in the tips of what can be pointed at."""

from __future__ import annotations

from collections.abc import Iterator

from bedplate.picture.model import Card, Part, Picture, Stack

NOTE = "An arrow leads from what is used to what uses it; a dashed one where only a text refers to it."


def title(picture: Picture) -> str:
    return f"{picture.project} in {picture.environment}"


def summary(picture: Picture) -> str:
    """One sentence: how much of what there is."""
    there_is = ", ".join(f"{stack.name} ({counts(stack)})" for stack in picture.stacks)
    return f"What the spec becomes on {picture.target}: {there_is or 'nothing'}."


def description(picture: Picture) -> str:
    """The whole picture as sentences."""
    return " ".join((summary(picture), *(_sentence(card) for card in picture.cards())))


def counts(stack: Stack) -> str:
    """How many entries of the spec a stack holds, and how many resources."""
    entries = sum(card.address.startswith(f"{stack.name}.") for card in stack.cards)
    resources = _counted(sum(len(card.parts) for card in stack.cards), "resource", "resources")
    return f"{_counted(entries, 'entry', 'entries')}, {resources}" if entries else resources


def _counted(number: int, one: str, more: str) -> str:
    return f"{number or 'no'} {one if number == 1 else more}"


def after(part: Part, card: Card) -> tuple[str, ...]:
    """The labels of the resources of the same entry that a resource depends on."""
    labels = {other.name: other.label for other in card.parts}
    return tuple(labels[name] for name in part.after if name in labels)


def tip(card: Card) -> str:
    """About an entry: where it is written, what it uses."""
    return "\n".join((f"{card.address}  {card.where}", *_uses(card)))


def part_tip(part: Part) -> str:
    """About a resource: its full name and type."""
    lines = [part.name, part.type]
    if part.after:
        lines.append(f"after {', '.join(part.after)}")
    if part.protected:
        lines.append("protected")
    return "\n".join(lines)


def _uses(card: Card) -> Iterator[str]:
    for address in card.used:
        yield f"uses {address}"


def _sentence(card: Card) -> str:
    parts = ", ".join(part.label for part in card.parts) or "no resource of its own"
    used = f"; uses {', '.join(card.used)}" if card.used else ""
    return f"{card.address}: {parts}{used}{'; protected' if card.protected else ''}."
