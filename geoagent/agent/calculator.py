"""Arithmetic that language models get wrong, without giving them a Python to run."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from geoagent.types import GeoAgentError

_LONGEST = 500
_LARGEST_EXPONENT = 1000
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "max": max,
    "min": min,
    "round": round,
    "sqrt": math.sqrt,
    "sum": lambda *values: math.fsum(values),
    "mean": lambda *values: math.fsum(values) / len(values),
    "log": math.log,
    "log10": math.log10,
    "exp": math.exp,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "atan2": math.atan2,
    "radians": math.radians,
    "degrees": math.degrees,
}
_CONSTANTS = {"pi": math.pi, "e": math.e}


def evaluate(expression: str) -> float:
    """The value of an arithmetic expression; nothing but numbers, operators and a few functions is understood."""
    if len(expression) > _LONGEST:
        raise GeoAgentError(f"the expression is longer than {_LONGEST} characters: calculate it in parts")
    try:
        value = _value(ast.parse(expression.strip().replace("^", "**"), mode="eval").body)
        result = float(value)
    except (SyntaxError, RecursionError, MemoryError):
        raise GeoAgentError("the expression is not arithmetic: write it like (3 + 4.5) * sqrt(2)") from None
    except ZeroDivisionError:
        raise GeoAgentError("the expression divides by zero") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise GeoAgentError(f"the expression has no value: {error}") from None
    if not math.isfinite(result):
        raise GeoAgentError("the expression has no finite value")
    return result


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            first, second = _value(left), _value(right)
            if isinstance(op, ast.Pow) and abs(second) > _LARGEST_EXPONENT:
                raise GeoAgentError(f"exponents are at most {_LARGEST_EXPONENT}")
            return _OPERATORS[type(op)](first, second)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            values = [_value(argument) for argument in _flat(arguments)]
            if name == "round" and len(values) == 2:
                return round(values[0], int(values[1]))
            return _FUNCTIONS[name](*values)
    raise GeoAgentError(
        f"only numbers, + - * / // % ** and {', '.join(sorted([*_FUNCTIONS, *_CONSTANTS]))} can be calculated"
    )


def _flat(arguments: list[ast.expr]) -> list[ast.expr]:
    """``sum([1, 2])`` means ``sum(1, 2)``."""
    if len(arguments) == 1 and isinstance(arguments[0], ast.List | ast.Tuple):
        return arguments[0].elts
    return arguments
