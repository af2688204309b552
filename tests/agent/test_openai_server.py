"""A language model behind an address that speaks OpenAI's protocol, as vLLM, Ollama and llama.cpp do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from test_langchain import five_steps

from geoagent.agent import create_agent


class Follower(BaseHTTPRequestHandler):
    """Answers chat completions with the next call of the server's plan."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request)
        last = request["messages"][-1]
        try:
            plan = self.server.plan
            call = plan.send(json.loads(last["content"])) if last["role"] == "tool" else next(plan)
            function = {"name": call.tool, "arguments": json.dumps(call.arguments)}
            calls = [{"id": f"call_{len(self.server.requests)}", "type": "function", "function": function}]
            message, reason = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
        except StopIteration as end:
            message, reason = {"role": "assistant", "content": end.value}, "stop"
        choice = {"index": 0, "message": message, "finish_reason": reason}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = {"id": "x", "object": "chat.completion", "created": 0, "model": request["model"], "choices": [choice]}
        data = json.dumps({**body, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Follower)
    made.plan, made.requests = five_steps(), []
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_it_does_the_task_of_five_steps(server, toolbox, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    agent = create_agent(
        "qwen3:8b",
        base_url=f"http://127.0.0.1:{server.server_port}/v1",
        store=toolbox.store,
        segmenter=toolbox._sight._model,
    )
    messages = agent.invoke({"messages": [("user", "How many tanks lie within 25 m of the river?")]})["messages"]
    assert messages[-1].content == "2 tanks, 40 %"
    first = server.requests[0]
    assert first["model"] == "qwen3:8b"
    assert [tool["function"]["name"] for tool in first["tools"]][:3] == ["list_images", "describe_image", "segment"]
    assert first["messages"][0]["role"] == "system"
