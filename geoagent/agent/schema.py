"""From a tool's signature and docstring to what a language model is told of it."""

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
_MISTAKES = 3


def arguments_of(name: str, function: Callable[..., Any]) -> type[BaseModel]:
    """A pydantic model of the arguments; unknown ones are refused, so that a slip of the pen is noticed."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {
        key: (hints[key], ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for key, parameter in inspect.signature(function).parameters.items()
    }
    return create_model(name, __config__=_CONFIG, __doc__=description_of(function), **fields)


def description_of(function: Callable[..., Any]) -> str:
    """The docstring on as few lines as it has paragraphs."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def repair_hint(name: str, function: Callable[..., Any], error: Any) -> str:
    """What was wrong with a call, and how it should look."""
    parts = [
        f"{'.'.join(str(place) for place in one['loc'])}: {one['msg']}"[:160]
        for one in (error.errors()[:_MISTAKES] if isinstance(error, ValidationError) else ())
    ] or [str(error)[:200]]
    signature = ", ".join(
        key if parameter.default is inspect.Parameter.empty else f"{key}?"
        for key, parameter in inspect.signature(function).parameters.items()
    )
    return f"{'; '.join(parts)}. Call {name}({signature}) again with that mended"
