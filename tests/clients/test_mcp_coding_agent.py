"""A coding agent as it is published, whose every use of a tool is asked over MCP. Its model is a script on this machine."""

import json
import os
import subprocess
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PACKAGE = "@anthropic-ai/claude-code"
pytestmark = pytest.mark.skipif(
    not os.environ.get("CODING_AGENT"), reason=f"{PACKAGE.upper()} IS A DOWNLOAD OF 235 MB: IT IS TRIED WHERE CODING_AGENT IS SET, AND WAS NOT HERE"
)
PROMPT = "mcp__countersign__approve_tool_use"
WANTED = {"command": "mkdir made", "description": "Make a folder"}


class Model(BaseHTTPRequestHandler):
    """Wants to make a folder; then says what it was told of it. Speaks Anthropic's messages, streamed or not."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        if "count_tokens" in self.path:
            return self.send("application/json", json.dumps({"input_tokens": 1}).encode())
        block = self.block(asked)
        why = "tool_use" if block["type"] == "tool_use" else "end_turn"
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": asked.get("model", "any"), "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        if not asked.get("stream"):
            return self.send("application/json", json.dumps({**message, "content": [block], "stop_reason": why}).encode())
        if why == "tool_use":
            began, delta = {**block, "input": {}}, {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        else:
            began, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        events = [
            {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": began},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": why, "stop_sequence": None}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ]
        stream = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return self.send("text/event-stream", stream.encode())

    def block(self, asked):
        said = [
            one for message in asked.get("messages", []) if isinstance(message["content"], list)
            for one in message["content"] if one.get("type") == "tool_result"
        ]
        if said:
            return {"type": "text", "text": f"I was told: {json.dumps(said[-1].get('content'))}"}
        if any(tool.get("name") == "Bash" for tool in asked.get("tools") or []):
            return {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:24]}", "name": "Bash", "input": WANTED}
        return {"type": "text", "text": "Nothing to do."}

    def do_HEAD(self):
        self.send("text/plain", b"")

    do_GET = do_HEAD

    def send(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def model():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@pytest.fixture(scope="module")
def source(new_source):
    return new_source("claude-code")


@pytest.fixture
def work(tmp_path, company, source, node_environment):
    """Call it: the agent does its work in a folder; returns the folder and what it said in the end."""
    program = node_environment(PACKAGE) / "node_modules" / ".bin" / "claude"
    server = {"type": "http", "url": f"{company.url}/mcp?wait=290", "headers": {"Authorization": f"Bearer {source['key']}"}}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"countersign": server}}))
    folder = tmp_path / "work"
    folder.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}

    def run():
        with model() as address:
            done = subprocess.run(
                [str(program), "-p", "Make a folder.", "--mcp-config", str(tmp_path / "mcp.json"), "--strict-mcp-config",
                 "--permission-prompt-tool", PROMPT, "--output-format", "json", "--model", "claude-sonnet-4-5"],
                cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False, env={
                    **kept, "HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(tmp_path / "config"), "ANTHROPIC_BASE_URL": address,
                    "ANTHROPIC_API_KEY": "local", "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                    "NO_PROXY": "127.0.0.1,localhost",
                },
            )
        assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
        return folder, json.loads(done.stdout)["result"]

    return run


@pytest.mark.parametrize(("verdict", "made", "told"), [
    ({"verdict": "approve"}, ["made"], ""),
    ({"verdict": "edit", "args": {**WANTED, "command": "mkdir made-as-signed"}}, ["made-as-signed"], ""),
    ({"verdict": "reject", "reason": "No folders on Fridays."}, [], "No folders on Fridays."),
])
def test_a_tool_runs_as_a_person_signed_it_or_not_at_all(work, desk, source, verdict, made, told):
    with desk.deciding(source["source"], lambda one: dict(verdict)) as asked:
        folder, said = work()

    assert [(one["proposal"]["action"], one["proposal"]["args"]["command"]) for one in asked] == [("Bash", "mkdir made")]
    assert sorted(one.name for one in folder.iterdir()) == made
    assert said.startswith("I was told:") and told in said
