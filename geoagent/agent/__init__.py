"""Agents: any language model can see, segment and measure through these tools.

    from geoagent.agent import SceneStore, create_agent, make_tools

Importing this package is cheap: neither LangChain nor torch is imported before it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoagent.agent.agent import create_agent
    from geoagent.agent.store import SceneStore
    from geoagent.agent.toolbox import Toolbox
    from geoagent.agent.tools import make_tools

__all__ = ["SceneStore", "Toolbox", "create_agent", "make_tools"]

_HOME = {
    "SceneStore": "geoagent.agent.store",
    "Toolbox": "geoagent.agent.toolbox",
    "create_agent": "geoagent.agent.agent",
    "make_tools": "geoagent.agent.tools",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'geoagent.agent' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
