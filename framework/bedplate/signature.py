"""What a model takes and gives, in the words of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

ANY = -1


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output; a shape's -1 is any extent. `shape` None: of any rank."""

    name: str
    datatype: str
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        extents = "any shape" if self.shape is None else f"{[*self.shape]}"
        return f"{self.name} {self.datatype} {extents}"

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape is one."""
        if self.shape is None:
            return True
        pairs = zip(self.shape, shape, strict=False)
        return len(shape) == len(self.shape) and all(mine in (ANY, its) for mine, its in pairs)

    def to_data(self) -> dict[str, object]:
        return {"name": self.name, "datatype": self.datatype, "shape": _listed(self.shape)}

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> Tensor:
        """The inverse of `to_data`. Raises KeyError, TypeError, ValueError on anything else."""
        shape = data["shape"]
        if shape is not None and not isinstance(shape, list):
            raise TypeError("shape")
        return cls(
            str(data["name"]),
            str(data["datatype"]),
            None if shape is None else tuple(int(extent) for extent in shape),
        )


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of a model, and the version of the operators that it is written in."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    opset: int = 0

    def to_data(self) -> dict[str, object]:
        return {
            "inputs": [tensor.to_data() for tensor in self.inputs],
            "outputs": [tensor.to_data() for tensor in self.outputs],
            "opset": self.opset,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> Signature:
        """The inverse of `to_data`. Raises KeyError, TypeError, ValueError on anything else."""
        inputs, outputs, opset = data["inputs"], data["outputs"], data["opset"]
        if not isinstance(inputs, list) or not isinstance(outputs, list) or not isinstance(opset, int):
            raise TypeError("not a signature")
        return cls(tuple(map(Tensor.from_data, inputs)), tuple(map(Tensor.from_data, outputs)), opset)


def breaks(old: Signature, new: Signature) -> Iterator[str]:
    """Why a caller of the old model may fail with the new one, a text for each reason."""
    now_in = {tensor.name: tensor for tensor in new.inputs}
    now_out = {tensor.name: tensor for tensor in new.outputs}
    known = {tensor.name for tensor in old.inputs}
    yield from (f"it takes a new input, {tensor}" for tensor in new.inputs if tensor.name not in known)
    for was, now, what in ((old.inputs, now_in, "input"), (old.outputs, now_out, "output")):
        for tensor in was:
            found = now.get(tensor.name)
            if found is None:
                yield f"the {what} {tensor.name} is gone"
            elif (found.datatype, found.shape) != (tensor.datatype, tensor.shape):
                yield f"the {what} {tensor} is now {found}"


def _listed(shape: tuple[int, ...] | None) -> list[int] | None:
    return None if shape is None else [*shape]
