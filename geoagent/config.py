"""Configuration trees: dataclasses read from mappings and YAML, where an unknown key is an error.

A configuration is a frozen, keyword-only dataclass beside the code that it configures; its ``__post_init__`` refuses
impossible values. This module only turns mappings into such dataclasses and back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from geoagent.types import GeoAgentError

T = TypeVar("T")


def from_mapping(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Build the dataclass ``cls`` from ``values``; nested mappings become nested dataclasses, lists become tuples.

    Raises:
        GeoAgentError: for a key that the dataclass does not have, naming the keys that it has.
    """
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise GeoAgentError(
            f"{where or cls.__name__}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    hints = get_type_hints(cls)
    return cls(**{key: _convert(hints[key], value, f"{where}{key}.") for key, value in values.items()})


def to_mapping(config: Any) -> dict[str, Any]:
    """The dataclass as plain dictionaries and lists, ready for JSON or YAML."""
    return {key: _plain(value) for key, value in asdict(config).items()}


def load_yaml(cls: type[T], path: str | Path, overrides: Iterable[str] = ()) -> T:
    """Read a YAML file into ``cls``; ``overrides`` are ``a.b=value`` with the value in YAML."""
    try:
        values = yaml.safe_load(Path(path).read_text()) or {}
    except FileNotFoundError:
        raise GeoAgentError(f"there is no configuration file {path}") from None
    except yaml.YAMLError as error:
        raise GeoAgentError(f"{path} is not valid YAML: {error}") from None
    for override in overrides:
        set_value(values, override)
    return from_mapping(cls, values)


def set_value(values: dict[str, Any], override: str) -> None:
    """Apply one ``a.b=value`` to nested dictionaries in place."""
    path, separator, text = override.partition("=")
    if not separator or not path:
        raise GeoAgentError(f"{override!r} is not of the form key=value")
    *parents, last = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = yaml.safe_load(text)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (Union, UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        return None if value is None else _convert(options[0], value, where)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return from_mapping(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is tuple and isinstance(value, list | tuple):
        inner = get_args(hint)[0]
        return tuple(_convert(inner, item, where) for item in value)
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        return float(value)  # YAML reads 1e-4 as text
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
