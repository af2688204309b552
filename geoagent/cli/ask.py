"""Ask an agent: a language model that segments, measures and computes in several steps.

The language model is named by --llm (or GEOAGENT_LLM): PROVIDER:MODEL, a MODEL of a server at --llm-url, or
transformers:FOLDER_OR_ID for a Qwen on this machine. Without one, the question goes straight to the segmentation model.
"""

import argparse
import os
import sys
from pathlib import Path

from geoagent.cli import parsing

SUMMARY = "ask an agent about images, in several steps"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``geoagent ask``."""
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files, or folders of images")
    parser.add_argument("question", metavar="QUESTION", help='"What share of the buildings is near the river?"')
    parser.add_argument("--show-steps", action="store_true", help="print every call and its answer")
    parser.add_argument(
        "--gsd", type=parsing.metres, metavar="M", help="metres of a pixel, where the file does not know"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path(), help="where files go (default: the current folder)"
    )
    group = parser.add_argument_group("language model")
    group.add_argument("--llm", metavar="NAME", default=os.environ.get("GEOAGENT_LLM"), help="see above")
    group.add_argument("--llm-url", metavar="URL", help="a server that speaks OpenAI's protocol (vLLM, Ollama …)")
    group.add_argument("--max-steps", type=int, default=30, metavar="N", help="calls of it (default: %(default)s)")
    group.add_argument("--max-seconds", type=float, default=900, metavar="S", help="time (default: %(default)s)")
    group.add_argument("--thread", metavar="NAME", help="begin or go on with a conversation that is remembered")
    group.add_argument(
        "--home",
        metavar="DIR",
        type=Path,
        default=Path(os.environ.get("GEOAGENT_HOME") or Path.home() / ".geoagent"),
        help="where conversations are remembered (default: %(default)s)",
    )
    parsing.add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Answer with the agent, or alone where there is no language model."""
    if not args.llm:
        return _ask_alone(args)
    from geoagent.cli.needing import needs

    with needs("agent"):
        from geoagent.cli.asking import ask_agent

    return ask_agent(args)


def _ask_alone(args: argparse.Namespace) -> int:
    """A question of one step needs no language model."""
    from geoagent.agent.language_models import WHAT_TO_CONFIGURE
    from geoagent.cli.loading import load_model
    from geoagent.cli.words import answer_lines
    from geoagent.types import GeoAgentError

    folders = [name for name in args.images if Path(name).is_dir()]
    if folders:
        raise GeoAgentError(f"{folders[0]!r} is a folder, which only an agent can ask about: {WHAT_TO_CONFIGURE}")
    print(
        f"note: no language model is configured, so {args.model} answers alone, in one step: it finds, counts and "
        f"measures what the question names. For questions of several steps {WHAT_TO_CONFIGURE}.",
        file=sys.stderr,
    )
    model = load_model(args)
    for name in args.images:
        prediction = model.segment(name, args.question, gsd_m=args.gsd)
        if len(args.images) > 1:
            print(f"{name}:")
        print("\n".join(answer_lines(prediction.to_json())))
        for warning in prediction.warnings:
            print(f"note: {warning}", file=sys.stderr)
    return 0
