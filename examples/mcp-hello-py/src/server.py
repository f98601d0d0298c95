"""One tool, served over streamable HTTP."""
import os

from mcp.server.fastmcp import FastMCP

mcp = FastMCP(
    "mcp-hello-py",
    host=os.environ.get("HOST", "0.0.0.0"),
    port=int(os.environ.get("PORT", "8080")),
    stateless_http=True,
)


@mcp.tool()
def hello_world(first_name: str) -> str:
    """Says hello to somebody."""
    return f"Hello {first_name}!"


if __name__ == "__main__":
    mcp.run(transport="streamable-http")
