"""Parts that are installed on request."""

from collections.abc import Iterator
from contextlib import contextmanager

from geoagent.types import GeoAgentError


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Imports inside that fail say which extra brings what is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise GeoAgentError(f"{error.name} is not installed: pip install 'geoagent[{extra}]'") from error
