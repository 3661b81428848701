"""Weights out of the files they were published in: torch's, Keras's, TensorFlow Lite's, ONNX's ...

Formats of other runtimes are read by their own rules, so that no such runtime is needed: a
flatbuffer (``tensorflow/lite/schema/schema.fbs``), a protocol buffer (``onnx/onnx.proto``), and
CTranslate2's ``model_spec.py``.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

KERAS_EPSILON = 1e-3
"""Keras adds this to the variance in batch normalisation; PyTorch's own default is 1e-5."""
INTEGERS = {2: "<i4", 9: "<i1"}
"""NumPy's names for the integer types of TensorFlow Lite."""
REALS = {0: "<f4", 4: "<f2"}
"""NumPy's names for the real types of CTranslate2."""


def read_keras(path: Path) -> dict[str, Tensor]:
    """Weights of a Keras HDF5 file by ``layer/weight``, e.g. ``"conv2d_1/kernel"``.

    Keras nests a layer in itself and numbers TensorFlow's variables (``conv2d/conv2d/kernel_1:0``);
    both are dropped from the names. The optimiser's state is left out.

    Raises:
        OSError: not an HDF5 file, or a damaged one.
    """
    weights = {}

    def keep(name: str, item) -> None:
        if not isinstance(item, h5py.Dataset) or not item.shape or "optimizer_weights" in name:
            return
        if "/" in name:
            layer, weight = re.sub(r"(_[0-9]+)?:0$", "", name).split("/")[-2:]
            weights[f"{layer}/{weight}"] = torch.from_numpy(item[()]).float()

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return weights


def read_torch(path: Path) -> dict[str, Tensor]:
    """A state dict that torch saved."""
    return torch.load(path, "cpu", weights_only=True)


def read_ctranslate2(path: Path) -> dict[str, Tensor]:
    """The real variables of a CTranslate2 model as float32 by dotted name.

    Raises:
        OSError, ValueError: not a model of version 6, or a cut one.
    """
    data, at, found = path.read_bytes(), 0, {}

    def take(kind: str, count: int = 1) -> np.ndarray:
        nonlocal at
        values = np.frombuffer(data, kind, count, at)
        at += values.nbytes
        return values

    def text() -> str:
        return take("u1", take("<u2")[0]).tobytes().rstrip(b"\0").decode()

    if take("<u4")[0] != 6:
        raise ValueError("not a CTranslate2 model of version 6")
    text()
    for _ in range(take("<u4", 2)[1]):
        name, shape = text(), take("<u4", take("u1")[0])
        kind = REALS.get(int(take("u1")[0]))
        values = take("u1", take("<u4")[0])
        if kind:
            numbers = values.view(kind).reshape(shape).astype(np.float32)
            found[name.replace("/", ".")] = torch.from_numpy(numbers)
    return found


def keras_norm(weights: dict[str, Tensor], layer: str) -> dict[str, Tensor]:
    """A Keras batch normalisation layer under PyTorch's names."""
    return {"weight": weights[f"{layer}/gamma"], "bias": weights[f"{layer}/beta"],
            "running_mean": weights[f"{layer}/moving_mean"],
            "running_var": weights[f"{layer}/moving_variance"],
            "num_batches_tracked": torch.tensor(0)}


def keras_dense(weights: dict[str, Tensor], layer: str) -> dict[str, Tensor]:
    """A Keras dense layer under PyTorch's names."""
    return {"weight": weights[f"{layer}/kernel"].T, "bias": weights[f"{layer}/bias"]}


def part_of(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights whose names begin with ``prefix.``, without it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in weights.items()
            if name.startswith(f"{prefix}.")}


class Table:
    """A table of a flatbuffer, whose fields have numbers; those left out have a default."""

    def __init__(self, data: bytes, at: int):
        self.data, self.at = data, at

    def _read(self, at: int, kind: str) -> int:
        return int(np.frombuffer(self.data, kind, 1, at)[0])

    def _field(self, i: int) -> int:
        layout = self.at - self._read(self.at, "<i4")
        slot = 4 + 2 * i
        offset = self._read(layout + slot, "<u2") if slot < self._read(layout, "<u2") else 0
        return self.at + offset if offset else 0

    def _pointer(self, at: int) -> int:
        return at + self._read(at, "<u4")

    def number(self, i: int, kind: str) -> int:
        """A number of NumPy's type `kind`; 0 by default."""
        at = self._field(i)
        return self._read(at, kind) if at else 0

    def vector(self, i: int, kind: str) -> np.ndarray:
        """A vector of numbers; empty by default."""
        if not (at := self._field(i)):
            return np.zeros(0, kind)
        start = self._pointer(at)
        return np.frombuffer(self.data, kind, self._read(start, "<u4"), start + 4)

    def tables(self, i: int) -> "list[Table]":
        """A vector of tables, or the one table that the field holds."""
        start = self._pointer(self._field(i))
        return [Table(self.data, self._pointer(start + 4 + 4 * k))
                for k in range(self._read(start, "<u4"))]

    def table(self, i: int) -> "Table | None":
        """One table; None by default."""
        at = self._field(i)
        return Table(self.data, self._pointer(at)) if at else None


def read_tflite(path: Path) -> list[Tensor]:
    """The quantised constants of a TensorFlow Lite graph as real numbers, in the file's order.

    ``scale * (integer - zero_point)``, with a scale for each slice where the file has several.

    Raises:
        OSError, ValueError: not such a file, or a cut one.
    """
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise ValueError("not a TensorFlow Lite file")
    model = Table(data, int.from_bytes(data[:4], "little"))
    buffers, found = model.tables(4), []
    for tensor in model.tables(2)[0].tables(0):
        raw = buffers[tensor.number(2, "<u4")].vector(0, "u1")
        how, kind = tensor.table(4), tensor.number(1, "u1")
        scale = how.vector(2, "<f4") if how else ()
        if not len(raw) or not len(scale) or kind not in INTEGERS:
            continue
        shape = [1] * len(tensor.vector(0, "<i4"))
        shape[how.number(6, "<i4")] = -1
        integers = np.frombuffer(raw.tobytes(), INTEGERS[kind]).reshape(tensor.vector(0, "<i4"))
        shifted = integers.astype(np.float64) - how.vector(3, "<i8").reshape(shape)
        found.append(torch.from_numpy((scale.reshape(shape) * shifted).astype(np.float32)))
    return found


def read_onnx(path: Path) -> dict[str, Tensor]:
    """The float32 constants of an ONNX graph by name.

    Raises:
        OSError, ValueError: not such a file, or a cut one.
    """
    [graph] = [value for field, value in _fields(path.read_bytes()) if field == 7]
    found = {}
    for tensor in (list(_fields(value)) for field, value in _fields(graph) if field == 5):
        by_field = dict(tensor)
        if by_field[2] == 1:
            shape = [value for field, value in tensor if field == 1]
            numbers = np.frombuffer(by_field[9], "<f4").reshape(shape)
            found[by_field[8].decode()] = torch.from_numpy(numbers.copy())
    return found


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    # A message is a row of (number of the field and kind, value); no field here is of fixed size.
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value, at = _varint(data, at)
        if key & 7 == 2:
            at += value
            value = data[at - value:at]
        elif key & 7:
            raise ValueError("not an ONNX file")
        if at > len(data):
            raise ValueError("the file is cut short")
        yield key >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
