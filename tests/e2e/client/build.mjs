// Builds one image with the unmodified @blaxel/core and prints what happens, a JSON object a line.
//
//   node build.mjs NAME SCENARIO FOLDER     with BL_API_URL, BL_API_KEY and BL_WORKSPACE set
//
// FOLDER holds config.json and src/.
import path from "node:path";
import { createRequire } from "node:module";

// The package is not beside this file: it is installed where builds are allowed to write.
const require = createRequire(path.join(process.env.KILN_E2E_CLIENT, "package.json"));
const { ImageInstance } = require("@blaxel/core");

const [name, scenario, folder] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));

const scenarios = {
  files: () =>
    ImageInstance.fromRegistry("python:3.11-slim")
      .runCommands("echo first step of the build")
      .workdir("/app")
      .env({ PYTHONUNBUFFERED: "1" })
      .addLocalFile(path.join(folder, "config.json"), "/app/config.json")
      .addLocalDir(path.join(folder, "src"), "/app/src")
      .runCommands("cat /app/config.json")
      .expose(3000),
  again: () => ImageInstance.fromRegistry("alpine:3.20").runCommands("echo built again"),
  failing: () =>
    ImageInstance.fromRegistry("alpine:3.20").runCommands(
      "echo a step that works",
      "echo BAD_RUN >&2; exit 42",
    ),
};

const image = scenarios[scenario]();
say({ dockerfile: image.dockerfile });
try {
  const sandbox = await image.build({
    name,
    memory: 2048,
    timeout: 180000,
    onStatusChange: (status) => say({ status }),
  });
  say({ sandbox });
} catch (error) {
  say({ error: error.message });
  process.exitCode = 3;
}
