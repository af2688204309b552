"""``python -m geoagent``: the command line."""

import sys

from geoagent.cli import main

if __name__ == "__main__":
    sys.exit(main())
