"""What a notebook may be told: its parameters cell, read without a kernel, checks values."""

import ast
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jupytext
import yaml

from audiotl import AudiotlError, datasets, models, probes
from audiotl.models import pretrained
from audiotl.training import Recipe

NAMES = dict.fromkeys(("corpus", "source", "target"), datasets.names()) | {
    "probe": list(probes.NAMES), "network": [*models.NETWORKS, *pretrained.NETWORKS],
    "recipe": [field.name for field in dataclasses.fields(Recipe)]}
"""What the values of a parameter may be, by the last word of its name."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell."""

    name: str
    default: Any
    meaning: str  # the comment behind it


def of(notebook: Path) -> dict[str, Parameter]:
    """The parameters of a notebook by name, from its cell tagged ``parameters``."""
    cells = jupytext.read(notebook).cells
    text = "\n".join(c.source for c in cells if "parameters" in c.metadata.get("tags", []))
    found, lines = {}, text.splitlines()
    for node in ast.parse(text).body:
        try:
            name, default = node.targets[0].id, ast.literal_eval(node.value)
        except (AttributeError, ValueError) as error:
            raise AudiotlError(f"{notebook.name}: line {node.lineno} of the parameters cell is not "
                               "a name and a plain value; write NAME = VALUE.") from error
        comment = lines[node.end_lineno - 1][node.end_col_offset:].partition("#")[2]
        found[name] = Parameter(name, default, comment.strip())
    return found


def values(known: Mapping[str, Parameter], layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the notebook is given: later layers win.

    Args:
        known: of the notebook.
        layers: values by name, those of other notebooks among them; a text is read as the
            parameter's type wants it. A mapping in the last layer changes the one before, unless
            it is empty.

    Raises:
        AudiotlError: a value of another type, or a name that nothing has.
    """
    given: dict[str, Any] = {}
    for place, layer in enumerate(layers, 1):
        for name, value in layer.items():
            name = name if name in known or f"{name}s" not in known else f"{name}s"
            if name in known:
                value = _read(value, known[name].default)
                _check(known[name], value)
                if isinstance(value, dict) and value and place == len(layers):
                    value = given.get(name, known[name].default) | value
                given[name] = value
    return given


def _check(parameter: Parameter, value: Any) -> None:
    name, default = parameter.name, parameter.default
    if not _fits(value, default):
        raise AudiotlError(f"The parameter {name} is of type {_kind(default)} (here "
                           f"{_text(default)!r}), which {value!r} is not.")
    listed, own = (one if isinstance(one, list | dict) else [one] for one in (value, default))
    known = NAMES.get(name.rsplit("_", 1)[-1].removesuffix("s"))
    for one in listed if known else ():
        if not set(str(one).split("+")) <= {*known, *own} and one not in own:
            raise AudiotlError(f"The parameter {name} knows no {one!r}; choose among "
                               f"{', '.join(known)}.")


def describe(known: Mapping[str, Parameter], given: Mapping[str, Any]) -> str:
    """A line a parameter: name, type, value and meaning."""
    rows = [(f"{one.name} ({_kind(one.default)}) = {_text(given.get(one.name, one.default))}",
             one.meaning) for one in known.values()]
    return "\n".join(f"{what}  # {meaning}" if meaning else what for what, meaning in rows)


def _read(value: Any, default: Any) -> Any:
    # A text from the command line as the type of the default wants it.
    if not isinstance(value, str) or isinstance(default, str):
        return value
    names = isinstance(default, list) and all(isinstance(one, str) for one in default)
    if isinstance(default, list) and not value.lstrip().startswith("["):
        value = f"[{value}]"
    try:
        return yaml.load(value, yaml.BaseLoader if names else yaml.SafeLoader)
    except yaml.YAMLError:
        return value


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, list):
        return isinstance(value, list) and all(
            not default or any(_fits(item, own) for own in default) for item in value)
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return default is None or isinstance(value, type(default))


def _kind(default: Any) -> str:
    return "value" if default is None else type(default).__name__


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
