"""The agents, MCP servers and jobs of examples/: built as they are, started, and put to work."""
import json
import tomllib

import kiln_server
from kiln_server import SOURCE
from workshop import WorkshopCase, add_tests

EXAMPLES = SOURCE / "examples"


class EveryExample(WorkshopCase):
    @classmethod
    def prove(cls, name):
        folder = cls.copy(EXAMPLES / name)
        if name.endswith("-py"):  # the Python that there is a stand-in base image of
            (folder / ".python-version").write_text("3.11\n")
        settings = tomllib.loads((folder / "blaxel.toml").read_text())
        reference = cls.build(folder, "--type", settings["type"])
        kind = next(k for k in (agent, mcp, job) if k.__name__ in name)
        kind(cls.containers, reference)


def agent(containers, reference):
    with containers.start(reference) as container:
        answer = container.request("POST", "/", {"inputs": "good morning"})
        assert answer.status == 200, answer
        assert answer.json == {"output": "You said: good morning"}, answer
        assert container.request("GET", "/health").json == {"status": "ok"}
        assert 0 not in container.users()


def mcp(containers, reference):
    with containers.start(reference) as container:
        tools = call(container, "tools/list", {})["tools"]
        assert len(tools) == 1, tools
        argument, = tools[0]["inputSchema"]["properties"]
        said = call(container, "tools/call",
                    {"name": tools[0]["name"], "arguments": {argument: "Ada"}})
        assert said["content"][0]["text"] == "Hello Ada!", said
        assert 0 not in container.users()


def call(container, method, parameters):
    """A JSON-RPC call over MCP's streamable HTTP; the answer may be an event stream of one event."""
    answer = container.request(
        "POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters},
        {"Accept": "application/json, text/event-stream"})
    assert answer.status == 200, answer
    text = answer.body.decode()
    if answer.headers.get_content_type() == "text/event-stream":
        text = next(line for line in text.splitlines() if line.startswith("data:"))[len("data:"):]
    return json.loads(text)["result"]


def job(containers, reference):
    with containers.start(reference, NAME="Ada", TIMES="2") as container:
        ended = container.wait()
        assert ended == (0, "1: Hello Ada!\n2: Hello Ada!\n"), ended
    with containers.start(reference, TIMES="often") as container:
        code, said = container.wait()
        assert code != 0 and "TIMES=often: not a number" in said, (code, said)


add_tests(EveryExample, ["blank-agent-py", "blank-agent-ts", "job-py", "job-ts", "mcp-hello-py",
                         "mcp-hello-ts"])

if __name__ == "__main__":
    kiln_server.main()
