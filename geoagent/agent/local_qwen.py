"""A Qwen on this machine as the language model of the agent, through transformers.

Qwen writes a call as ``<tool_call>{"name": …, "arguments": {…}}</tool_call>``; its chat template takes tools and their
answers. Vision-language checkpoints (Qwen3-VL) serve as well: they are read as what they are.
"""

import json
import re
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Self

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, InvalidToolCall, ToolCall, convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from geoagent.types import GeoAgentError

_CALL = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_THOUGHT = re.compile(r"\A.*?</think>\s*", re.DOTALL)


class LocalQwen(BaseChatModel):
    """A Qwen2.5, Qwen3 or Qwen3-VL checkpoint as a LangChain chat model with tools."""

    name_or_path: str
    max_new_tokens: int = 1024
    _model: Any = PrivateAttr()
    _tokenizer: Any = PrivateAttr()
    _turn: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def load(cls, name_or_path: str) -> Self:
        """Load a folder or hub id, onto a GPU where there is one."""
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

        try:
            config = AutoConfig.from_pretrained(name_or_path)
            kind = AutoModelForImageTextToText if hasattr(config, "vision_config") else AutoModelForCausalLM
            tokenizer = AutoTokenizer.from_pretrained(name_or_path)
            model = kind.from_pretrained(name_or_path, dtype="auto")
        except (OSError, ValueError) as error:
            raise GeoAgentError(f"the language model {name_or_path!r} cannot be loaded: {error}") from error
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls.of(model.to(device).eval(), tokenizer, name_or_path)

    @classmethod
    def of(cls, model: Any, tokenizer: Any, name_or_path: str = "local") -> Self:
        """Use a model that is loaded already."""
        chat = cls(name_or_path=name_or_path)
        chat._model, chat._tokenizer = model, tokenizer
        return chat

    @property
    def _llm_type(self) -> str:
        return "local-qwen"

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **options: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Tell the model of tools."""
        options.pop("tool_choice", None)  # the template has no way to force a call
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **options)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        import torch

        prompt = self._tokenizer.apply_chat_template(
            for_template(messages),
            tools=options.get("tools"),
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        ).to(self._model.device)
        with self._turn, torch.inference_mode():
            written = self._model.generate(**prompt, max_new_tokens=self.max_new_tokens, do_sample=False)
        text = self._tokenizer.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
        for end in stop or ():
            text = text.partition(end)[0]
        return ChatResult(generations=[ChatGeneration(message=to_message(text))])


def for_template(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Messages as Qwen's chat template takes them: arguments of calls as objects, contents as text."""
    plain: list[dict[str, Any]] = []
    for message in convert_to_openai_messages(list(messages), text_format="string"):
        assert isinstance(message, dict)
        content = message.get("content")
        if isinstance(content, list):
            content = "\n".join(part.get("text", "[picture]") for part in content if isinstance(part, dict))
        calls = [
            {"type": "function", "function": {"name": c["function"]["name"], "arguments": _object(c)}}
            for c in message.get("tool_calls", ())
        ]
        plain.append({"role": message["role"], "content": content or "", **({"tool_calls": calls} if calls else {})})
    return plain


def to_message(text: str) -> AIMessage:
    """What the model wrote: words, and calls of tools. A malformed call is reported back to it as such."""
    text = _THOUGHT.sub("", text)
    calls: list[ToolCall] = []
    broken: list[InvalidToolCall] = []
    for written in _CALL.findall(text):
        name = f"call_{uuid.uuid4().hex[:12]}"
        try:
            call = json.loads(written)
            calls.append(ToolCall(name=str(call["name"]), args=dict(call.get("arguments") or {}), id=name))
        except (ValueError, KeyError, TypeError) as error:
            broken.append(InvalidToolCall(type="invalid_tool_call", name=None, args=written, id=name, error=str(error)))
    return AIMessage(content=_CALL.sub("", text).strip(), tool_calls=calls, invalid_tool_calls=broken)


def _object(call: dict[str, Any]) -> Any:
    arguments = call["function"]["arguments"]
    return json.loads(arguments) if isinstance(arguments, str) else arguments
