"""Which language model reasons: a name LangChain knows, a server that speaks OpenAI's protocol, or a local Qwen."""

import os
from typing import TYPE_CHECKING

from geoagent.types import GeoAgentError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

LOCAL = "transformers:"
WHAT_TO_CONFIGURE = (
    "name a language model with --llm or GEOAGENT_LLM: PROVIDER:MODEL for a hosted one (its package and key must be "
    "there), MODEL with --llm-url http://localhost:8000/v1 for vLLM, Ollama or llama.cpp, or transformers:FOLDER_OR_ID "
    "for a Qwen on this machine"
)


def chat_model(name: str, *, base_url: str | None = None) -> "BaseChatModel":
    """The chat model of a name.

    Args:
        name: ``provider:model`` as `langchain.chat_models.init_chat_model` reads it, ``transformers:`` with a folder or
            hub id, or with ``base_url`` the name under which a server offers it.
        base_url: Address of a server that speaks OpenAI's protocol, such as ``http://localhost:11434/v1``.
    """
    if base_url is not None:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr

        key = SecretStr(os.environ.get("OPENAI_API_KEY") or "none")  # local servers ask for none, the client does
        return ChatOpenAI(model=name, base_url=base_url, api_key=key, temperature=0)
    if name.startswith(LOCAL):
        from geoagent.agent.local_qwen import LocalQwen

        return LocalQwen.load(name.removeprefix(LOCAL))
    from langchain.chat_models import init_chat_model

    try:
        return init_chat_model(name, temperature=0)
    except ImportError as error:
        raise GeoAgentError(f"the language model {name!r} needs another package: {error}") from error
    except ValueError as error:
        raise GeoAgentError(f"the language model {name!r} is not known: {WHAT_TO_CONFIGURE}") from error
