"""Convert an original SAM2 or SAM2.1 checkpoint into a folder that transformers and geoagent read.

python -m tools.convert_sam2 sam2.1_hiera_large.pt models/sam2.1-large
"""

import argparse
import sys
from pathlib import Path

from geoagent.types import GeoAgentError


def main(arguments: list[str] | None = None) -> int:
    """Parse, convert, say what was written."""
    parser = argparse.ArgumentParser(prog="convert_sam2", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="the .pt file, for example sam2.1_hiera_tiny.pt")
    parser.add_argument("folder", type=Path, help="where to write; made if it does not exist")
    options = parser.parse_args(arguments)

    from geoagent.model.sam_checkpoint import convert_checkpoint  # torch only once the arguments are right

    try:
        model = convert_checkpoint(options.checkpoint, options.folder)
    except GeoAgentError as error:
        print(f"convert_sam2: {error}", file=sys.stderr)
        return 2
    print(f"{options.folder}: SAM2 with {model.num_parameters() / 1e6:.1f} M parameters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
