// Makes, finds, lists, grows and deletes a volume with the unmodified @blaxel/core, and prints what
// it is told, a JSON object a line.
//
//   node volumes.mjs TEMPLATE     with BL_API_URL, BL_API_KEY and BL_WORKSPACE set
import path from "node:path";
import { createRequire } from "node:module";

// The package is not beside this file: it is installed where builds are allowed to write.
const require = createRequire(path.join(process.env.KILN_E2E_CLIENT, "package.json"));
const { VolumeInstance } = require("@blaxel/core");

const [template] = process.argv.slice(2);
const region = "us-pdx-1";
const say = (what, v) =>
  console.log(JSON.stringify({ what, name: v.name, size: v.size, status: v.status }));
const refused = async (what, promise) => {
  try {
    await promise;
    console.log(JSON.stringify({ what, refused: false }));
  } catch (e) {
    console.log(JSON.stringify({ what, refused: true, code: e.code, error: e.error }));
  }
};

/* The answer may come before the volume is there. */
const ready = async (volume) => {
  for (let n = 0; volume.status === "BUILDING" && n < 600; n++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    volume = await VolumeInstance.get(volume.name);
  }
  return volume;
};

const made = await ready(
  await VolumeInstance.createIfNotExists({ name: "sdk", template, region }),
);
say("made", made);
say("found", await VolumeInstance.createIfNotExists({ name: "sdk", size: 9999, template, region }));
await refused("existing", VolumeInstance.create({ name: "sdk", template, region }));
await refused("too small", VolumeInstance.create({ name: "tiny", size: 1, template, region }));
say("got", await VolumeInstance.get("sdk"));
for (const v of (await VolumeInstance.list({ limit: 50 })).data) say("listed", v);
say("grown", await ready(await made.update({ size: 2048 })));
await refused("shrunk", made.update({ size: 64 }));
const empty = await ready(await VolumeInstance.create({ name: "sdk-empty", size: 16, region }));
say("empty", empty);
await empty.delete();
await refused("deleted", VolumeInstance.get("sdk-empty"));
