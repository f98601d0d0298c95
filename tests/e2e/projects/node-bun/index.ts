// Answers with a text that only the dependency can make.
import commaNumber from "comma-number";

Bun.serve({
    hostname: process.env.HOST ?? "127.0.0.1",
    port: Number(process.env.PORT ?? 80),
    fetch: () => new Response(`${commaNumber(1234567)} bricks from node-bun\n`),
});
