"""A Qwen on this machine as the language model of the agent."""

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from world import ids_by_name

from geoagent.agent import create_agent
from geoagent.agent.language_models import chat_model
from geoagent.agent.local_qwen import LocalQwen, for_template, to_message
from geoagent.types import GeoAgentError


def test_calls_are_read():
    text = """<think>hm</think>
I look.
<tool_call>
{"name": "segment", "arguments": {"text": "ships"}}
</tool_call>
<tool_call>{"name": "list_images"}</tool_call>"""
    message = to_message(text)
    assert message.content == "I look."
    assert [(c["name"], c["args"]) for c in message.tool_calls] == [("segment", {"text": "ships"}), ("list_images", {})]
    assert len({c["id"] for c in message.tool_calls}) == 2


@pytest.mark.parametrize(
    "text", ["<tool_call>{oops</tool_call>", '<tool_call>{"name": "x"', "<tool_call>[1]</tool_call>"]
)
def test_broken_calls_are_kept_as_such(text):
    message = to_message(text)
    assert message.tool_calls == []
    assert len(message.invalid_tool_calls) == 1


def test_messages_for_the_template():
    call = {"name": "segment", "args": {"text": "ships"}, "id": "1", "type": "tool_call"}
    picture = [{"type": "text", "text": "{}"}, {"type": "image", "base64": "AAAA", "mime_type": "image/png"}]
    plain = for_template(
        [SystemMessage("be brief"), HumanMessage("where?"), AIMessage("", tool_calls=[call]),
         ToolMessage("{}", tool_call_id="1"), ToolMessage(picture, tool_call_id="1")]
    )  # fmt: skip
    assert [m["role"] for m in plain] == ["system", "user", "assistant", "tool", "tool"]
    assert plain[2]["tool_calls"][0]["function"] == {"name": "segment", "arguments": {"text": "ships"}}
    assert plain[4]["content"] == "{}\n[picture]"


class Tokens(dict):
    def to(self, device):
        return self


class Parrot:
    """Stands for tokenizer and network: writes the next line of a script."""

    device = "cpu"

    def __init__(self, lines):
        self.lines, self.prompts = list(lines), []

    def apply_chat_template(self, messages, tools=None, **options):
        import torch

        self.prompts.append((messages, tools))
        return Tokens(input_ids=torch.zeros(1, 3, dtype=torch.long))

    def generate(self, input_ids, **options):
        import torch

        return torch.zeros(1, 5, dtype=torch.long)

    def decode(self, ids, **options):
        assert len(ids) == 2  # the prompt is cut off
        return self.lines.pop(0)


def test_it_drives_the_agent(toolbox):
    image = ids_by_name(toolbox)["before"]
    call = {"name": "segment", "arguments": {"image_id": image, "text": "storage tanks"}}
    parrot = Parrot([f"<tool_call>{json.dumps(call)}</tool_call>", "There are 5 tanks."])
    agent = create_agent(LocalQwen.of(parrot, parrot), store=toolbox.store, segmenter=toolbox._sight._model)
    messages = agent.invoke({"messages": [("user", "How many tanks?")]})["messages"]
    assert messages[-1].content == "There are 5 tanks."
    seen, tools = parrot.prompts[-1]
    assert json.loads(seen[-1]["content"])["found"][0]["objects"] == 5
    assert len(tools) == 10


def test_names_of_language_models(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = chat_model("qwen3", base_url="http://localhost:9/v1")
    assert (server.model_name, server.openai_api_base) == ("qwen3", "http://localhost:9/v1")
    with pytest.raises(GeoAgentError, match="--llm-url"):
        chat_model("no-such-model")
    with pytest.raises(GeoAgentError, match="cannot be loaded"):
        chat_model(f"transformers:{tmp_path}")
