// Answers with a text that only the dependency can make.
import * as http from "node:http";
import commaNumber from "comma-number";

const port: number = Number(process.env.PORT ?? 80);

http.createServer((request, response) => {
    response.end(`${commaNumber(1234567)} bricks from node-npm\n`);
}).listen(port, process.env.HOST ?? "127.0.0.1");
