"""Talk to images in the terminal: each is encoded once, every further question costs only its own words."""

import argparse
import sys

from geoagent.cli import parsing

SUMMARY = "talk to an image in the terminal"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``geoagent chat``."""
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="image files (default: the bundled demo pictures)")
    parsing.add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Load the model and start talking."""
    from geoagent.cli.loading import load_model
    from geoagent.cli.terminal import Conversation, choose_images

    images = choose_images(args.images)
    print(f"loading {args.model} …", file=sys.stderr, flush=True)
    return Conversation(load_model(args), images).run()
