"""List the models that --model knows."""

import argparse
import json
from dataclasses import asdict

SUMMARY = "list the models one can name"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``geoagent models``."""
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")


def run(args: argparse.Namespace) -> int:
    """Print every name with what it is and what it runs on."""
    from geoagent.cli.words import table
    from geoagent.model.catalogue import named_models

    models = named_models()
    if args.json:
        print(json.dumps([asdict(model) for model in models], indent=2))
        return 0
    print("\n".join(table(("name", "what", "runs on"), [(m.name, m.what, m.runs_on) for m in models])))
    print("\nBesides: a folder that training saved, or a hub id such as owner/model.")
    return 0
