"""The command line: parse, call, write. One module for each command.

Each has ``SUMMARY`` (its line of ``geoagent --help``), ``add_arguments`` and ``run``. They import what is heavy inside
``run``, so that help and mistakes in the arguments are answered at once.

Exit codes: 0 answered; 2 something in the input is wrong, one line on standard error says what; 3 answered, but parts
of a large image could not be looked at; 130 interrupted.
"""

import argparse
import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from geoagent import __version__
from geoagent.cli import ask, chat, info, mcp, measure, models, segment

BAD_INPUT, INTERRUPTED = 2, 130
COMMANDS = {
    "segment": segment,
    "chat": chat,
    "ask": ask,
    "mcp": mcp,
    "measure": measure,
    "info": info,
    "models": models,
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is a ``--help`` away."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = _Parser(
        prog="geoagent", description="Ask an aerial or satellite image: get words, masks and measured objects."
    )
    parser.add_argument("--version", action="version", version=f"geoagent {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.SUMMARY, description=module.__doc__)
        module.add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    args = build_parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    _keep_quiet()
    try:
        return _run(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough (`| head`): what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(args: argparse.Namespace) -> int:
    from geoagent.types import GeoAgentError

    try:
        code: int = COMMANDS[args.command].run(args)
    except GeoAgentError as error:
        print(f"geoagent {args.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    sys.stdout.flush()
    return code


def _joined(argv: Sequence[str]) -> list[str]:
    """``--region -9.1,38.6,…`` as one word: argparse would take the coordinate of a western place for an option."""
    words: list[str] = []
    for word in argv:
        if words and re.fullmatch(r"--[a-z-]+", words[-1]) and re.match(r"-[\d.]", word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def _keep_quiet() -> None:
    """Libraries talk to developers; on a command line only our own words count (``python -W`` brings theirs back)."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("CPL_LOG", os.devnull)  # GDAL's drivers write past Python; what matters, they also raise
    logging.basicConfig(handlers=[logging.NullHandler()])
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
