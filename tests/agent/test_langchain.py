"""The tools in LangChain, and the agent that `create_agent` builds, driven by a scripted chat model."""

import json
import subprocess
import sys

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, ToolException
from langchain_tests.unit_tests import ToolsUnitTests
from world import Broken, make_scene, toolbox_of

from eval.agent_planner import Call, ScriptedPlanner
from geoagent.agent import create_agent, make_tools
from geoagent.agent.agent import conversations
from geoagent.agent.store import SceneStore
from geoagent.agent.tools import as_langchain
from geoagent.types import GeoAgentError

EXAMPLES = {
    "list_images": {"contains": "port"},
    "describe_image": {"image_id": "img_a"},
    "segment": {"image_id": "img_a", "text": "ships", "region": [0, 0, 10, 10], "min_score": 0.4},
    "measure": {"mask_id": "mask_a", "larger_than": 10.0},
    "relate": {"mask_a": "mask_a", "mask_b": "mask_b", "relation": "within", "metres": 50},
    "buffer": {"mask_id": "mask_a", "metres": 20},
    "compare": {"image_a": "img_a", "image_b": "img_b", "text": "tanks"},
    "render": {"ids": ["mask_a"]},
    "export": {"mask_id": "mask_a", "format": "geojson"},
    "calculate": {"expression": "1 + 1"},
}


@pytest.fixture(scope="module", autouse=True)
def workspace(tmp_path_factory):
    StandardTests.store = SceneStore(tmp_path_factory.mktemp("standard"))


class StandardTests(ToolsUnitTests):
    """The standard tests of langchain-tests, for each tool."""

    __test__ = False
    store: SceneStore
    tool_name: str

    @property
    def tool_constructor(self) -> BaseTool:
        return next(tool for tool in make_tools(self.store, Broken()) if tool.name == self.tool_name)

    @property
    def tool_invoke_params_example(self) -> dict:
        return EXAMPLES[self.tool_name]


for _name in EXAMPLES:
    _title = f"TestStandard{_name.title().replace('_', '')}"
    globals()[_title] = type(_title, (StandardTests,), {"__test__": True, "tool_name": _name})


@pytest.fixture
def tools(toolbox):
    return {tool.name: tool for tool in make_tools(toolbox.store, toolbox._sight._model)}


def test_ten_tools_at_most_each_described(tools):
    assert list(tools) == list(EXAMPLES)
    for tool in tools.values():
        assert 20 < len(tool.description) < 400
        for name, field in tool.args_schema.model_fields.items():
            assert field.description, f"{tool.name}.{name}"


def test_content_is_short_json_and_the_rest_is_the_artifact(tools, tanks):
    message = tools["export"].invoke(
        {"type": "tool_call", "id": "1", "name": "export", "args": {"mask_id": tanks, "format": "geojson"}}
    )
    assert json.loads(message.content)["file_name"] == "storage-tank.geojson"
    assert "/" not in message.content.replace("pixels/", "")
    (path,) = message.artifact["files"]
    assert path.endswith("storage-tank.geojson")


def test_a_picture_only_where_asked_for(tools, tanks):
    def content(**more):
        call = {"type": "tool_call", "id": "1", "name": "render", "args": {"ids": [tanks], **more}}
        return tools["render"].invoke(call).content

    assert isinstance(content(), str)
    text, image = content(show=True)
    assert json.loads(text["text"])["file_id"].startswith("file_")
    assert (image["type"], image["mime_type"]) == ("image", "image/png")


def test_errors_say_how_to_mend_the_call(tools, images):
    def error_of(name, **arguments):
        message = tools[name].invoke({"type": "tool_call", "id": "1", "name": name, "args": arguments})
        assert message.status == "error" or "error" in json.loads(message.content)
        return json.loads(message.content)["error"]

    assert images["before"] in error_of("segment", image_id="img_wrong", text="tanks")
    assert "list_images" in error_of("describe_image", image_id="port.tif")
    missing = error_of("segment", image="before", text="tanks")
    assert "image_id: Field required" in missing
    assert "Call segment(image_id, text, region?" in missing
    assert "geojson" in error_of("export", mask_id="mask_a", format="docx")


@pytest.mark.parametrize(
    "trouble",
    [
        GeoAgentError("no such thing"),
        OSError("/secret"),
        RuntimeError("out of memory"),
        MemoryError(),
        KeyError("secret"),
    ],
)
def test_only_tool_exceptions_leave_a_tool(trouble):
    def fails() -> None:
        """Fail."""
        raise trouble

    with pytest.raises(ToolException) as error:
        as_langchain("fails", fails).func()
    assert "secret" not in str(error.value)


# ------------------------------------------------------------------------------------------------ the agent


def five_steps(question_image="before"):
    """How many tanks lie within 25 m of the river, and what share of all tanks is that?"""
    listed = yield Call("list_images", contains=question_image)
    image = listed["images"][0]["image_id"]
    tanks = yield Call("segment", image_id=image, text="storage tanks")
    river = yield Call("segment", image_id=image, text="river")
    near = yield Call(
        "relate",
        mask_a=tanks["found"][0]["mask_id"],
        mask_b=river["found"][0]["mask_id"],
        relation="within",
        metres=25,
    )
    share = yield Call("calculate", expression=f"100 * {near['objects']} / {tanks['found'][0]['objects']}")
    return f"{near['objects']} tanks, {share['value']} %"


def agent_for(toolbox, plan, **options):
    return create_agent(ScriptedPlanner.of(plan), store=toolbox.store, segmenter=toolbox._sight._model, **options)


def ask(agent, question="How many tanks lie within 25 m of the river?", **config):
    return agent.invoke({"messages": [("user", question)]}, config or None)["messages"]


def test_a_task_of_five_steps(toolbox):
    messages = ask(agent_for(toolbox, five_steps()))
    assert messages[-1].content == "2 tanks, 40 %"
    assert [m.name for m in messages if isinstance(m, ToolMessage)] == [
        "list_images", "segment", "segment", "relate", "calculate"
    ]  # fmt: skip


def test_it_streams_steps_and_progress(toolbox):
    agent = agent_for(toolbox, five_steps())
    steps, progress, words = [], [], []
    stream = agent.stream(
        {"messages": [("user", "how many?")]}, stream_mode=["updates", "custom", "messages"], version="v1"
    )
    for mode, chunk in stream:
        if mode == "updates":
            steps += [message for node in chunk.values() for message in (node or {}).get("messages", [])]
        elif mode == "custom":
            progress.append(chunk)
        else:
            words.append(chunk[0])
    assert len([m for m in steps if isinstance(m, ToolMessage)]) == 5
    assert steps[-1].content == "2 tanks, 40 %"
    assert {"tool": "segment", "progress": "asking the segmentation model"} in progress
    assert words[-1].content == "2 tanks, 40 %"


async def test_it_runs_asynchronously(toolbox):
    agent = agent_for(toolbox, five_steps())
    result = await agent.ainvoke({"messages": [("user", "how many?")]})
    assert result["messages"][-1].content == "2 tanks, 40 %"


def test_a_wrong_id_is_mended(toolbox):
    def plan():
        answer = yield Call("segment", image_id="before.tif", text="storage tanks")
        assert "list_images" in answer["error"]
        image = answer["error"].split("there are ")[1].split(",")[0]
        answer = yield Call("segment", image_id=image, txt="storage tanks")
        assert "text" in answer["error"]
        found = yield Call("segment", image_id=image, text="storage tanks")
        return f"{found['found'][0]['objects']} tanks"

    assert ask(agent_for(toolbox, plan()))[-1].content == "5 tanks"


def test_a_tool_that_raises_does_not_end_the_run(tmp_path):
    box = toolbox_of(tmp_path, make_scene("before"), model=Broken())

    def plan():
        listed = yield Call("list_images")
        answer = yield Call("segment", image_id=listed["images"][0]["image_id"], text="tanks")
        assert "segment failed (KeyError)" in answer["error"]
        assert "passwd" not in answer["error"]
        value = yield Call("calculate", expression="6 * 7")
        return f"could not look, but {value['value']}"

    assert ask(agent_for(box, plan()))[-1].content == "could not look, but 42"


def test_a_tool_that_is_not_there(toolbox):
    def plan():
        answer = yield Call("open_file", path="/etc/passwd")
        assert "open_file is not a valid tool" in answer["error"]
        return "no such tool"

    assert ask(agent_for(toolbox, plan()))[-1].content == "no such tool"


def endless():
    while True:
        yield Call("calculate", expression="1 + 1")


def test_steps_are_limited(toolbox):
    messages = ask(agent_for(toolbox, endless(), max_steps=4))
    assert len([m for m in messages if isinstance(m, ToolMessage)]) == 4
    assert "limit" in messages[-1].content


def test_time_is_limited(toolbox):
    messages = ask(agent_for(toolbox, endless(), max_seconds=0.3, max_steps=10_000))
    assert messages[-1].content.startswith("Stopped: the time limit of 0.3 s")
    assert isinstance(messages[-2], ToolMessage)


def test_conversations_outlive_the_program(toolbox, tmp_path):
    config = {"configurable": {"thread_id": "a"}}
    for turn in (1, 2):
        with conversations(tmp_path / "conversations.sqlite") as memory:
            agent = agent_for(toolbox, five_steps(), checkpointer=memory)
            messages = agent.invoke({"messages": [("user", f"question {turn}")]}, config)["messages"]
            assert len([m for m in messages if m.type == "human"]) == turn


def test_several_calls_in_one_turn(toolbox, images):
    """LangGraph runs them in threads."""
    model = toolbox._sight._model

    class AtOnce(ScriptedPlanner):
        def _generate(self, messages, stop=None, run_manager=None, **options):
            from langchain_core.outputs import ChatGeneration, ChatResult

            if isinstance(messages[-1], ToolMessage):
                message = AIMessage(content="done")
            else:
                calls = [
                    {"name": "segment", "args": {"image_id": image, "text": "storage tanks"}, "id": name}
                    for name, image in images.items()
                ]
                message = AIMessage(content="", tool_calls=calls)
            return ChatResult(generations=[ChatGeneration(message=message)])

    messages = ask(create_agent(AtOnce(), store=toolbox.store, segmenter=model))
    counts = [json.loads(m.content)["found"][0]["objects"] for m in messages if isinstance(m, ToolMessage)]
    assert sorted(counts) == [2, 5, 5]


@pytest.mark.slow
def test_importing_the_tools_is_light():
    code = "import sys, geoagent.agent, geoagent.agent.toolbox, geoagent.agent.mcp\n" \
        "assert not {'torch', 'transformers', 'langchain', 'gradio'} & set(sys.modules)"  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)
