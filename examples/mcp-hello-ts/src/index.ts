// One tool, served over streamable HTTP; every request is a session of its own.
import { createServer } from "node:http";

import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

function makeServer(): McpServer {
  const server = new McpServer({ name: "mcp-hello-ts", version: "0.1.0" });

  server.registerTool(
    "hello-world",
    { description: "Says hello to somebody", inputSchema: { firstName: z.string() } },
    async ({ firstName }) => ({ content: [{ type: "text", text: `Hello ${firstName}!` }] }),
  );
  return server;
}

const http = createServer(async (request, response) => {
  if (request.url !== "/mcp") {
    response.writeHead(404).end();
    return;
  }
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });

  response.on("close", () => void transport.close());
  await makeServer().connect(transport);
  await transport.handleRequest(request, response);
});

const host = process.env.HOST ?? "0.0.0.0";
const port = Number(process.env.PORT ?? 8080);

http.listen(port, host, () => console.log(`listening on ${host}:${port}`));
