// Answers with a text that only the dependency can make.
const http = require("http");
const commaNumber = require("comma-number");

http.createServer((request, response) => {
    response.end(`${commaNumber(1234567)} bricks from node-berry\n`);
}).listen(Number(process.env.PORT ?? 80), process.env.HOST ?? "127.0.0.1");
