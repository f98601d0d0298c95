// An agent that says back what it was told: the place for a real one.
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const app = new Hono();

app.get("/health", (c) => c.json({ status: "ok" }));

app.post("/", async (c) => {
  const { inputs } = await c.req.json<{ inputs: string }>();

  return c.json({ output: `You said: ${inputs}` });
});

const hostname = process.env.HOST ?? "0.0.0.0";
const port = Number(process.env.PORT ?? 8080);

serve({ fetch: app.fetch, hostname, port }, () => console.log(`listening on ${hostname}:${port}`));
