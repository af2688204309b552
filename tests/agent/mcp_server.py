"""The MCP server with the oracle instead of a model: started by the tests as a process of its own, over stdio."""

import argparse
from pathlib import Path

from world import NEW_TANK, TANKS, Slow, make_scene

from eval.agent_oracle import OracleSegmenter
from geoagent.agent.serving import Workshop, serve_stdio


def scenes():
    return make_scene("before"), make_scene("later", (*TANKS[1:], NEW_TANK))


class Noisy(OracleSegmenter):
    """Prints, as libraries do."""

    def open(self, image, /):
        print("loading weights ...", flush=True)
        return super().open(image)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--slow", action="store_true")
    args = parser.parse_args()
    model = (Slow if args.slow else Noisy)(scenes())
    serve_stdio(Workshop(roots=[args.root], model=model))
