// Makes, changes, lists and deletes resources, and answers offered images, with the unmodified
// @blaxel/core, and prints what it is told as one JSON object.
//
//   node resources.mjs     with BL_API_URL, BL_API_KEY and BL_WORKSPACE set
import path from "node:path";
import { createRequire } from "node:module";

// The package is not beside this file: it is installed where builds are allowed to write.
const require = createRequire(path.join(process.env.KILN_E2E_CLIENT, "package.json"));
const sdk = require("@blaxel/core");

const told = {};
const kinds = [
  ["Agent", "agentName", "agent"],
  ["Function", "functionName", "function"],
  ["Job", "jobId", "job"],
];
const body = (name, type, labels) => ({
  metadata: { name, labels, externalId: "ours-7" },
  spec: { runtime: { image: `${type}/base:latest`, memory: 1024 }, ours: { kept: [1, null] } },
});

/* The answer's body, or the error's. */
const ask = async (call, options) => {
  const { data, error, response } = await sdk[call](options);
  return { status: response.status, body: data ?? error };
};

for (const [kind, id, type] of kinds) {
  const at = { [id]: "one" };
  const plural = `list${kind}s`;
  const steps = (told[type] = {});
  steps.absent = await ask(`update${kind}`, { path: at, body: body("one", type, {}) });
  for (const name of ["one", "two", "three"])
    steps.made = await ask(`create${kind}`, { body: body(name, type, { team: "core" }) });
  steps.again = await ask(`create${kind}`, { body: body("one", type, {}) });
  steps.changed = await ask(`update${kind}`, { path: at, body: body("one", type, { team: "ml" }) });
  steps.got = await ask(`get${kind}`, { path: at });
  steps.revisions = await ask(`list${kind}Revisions`, { path: at });
  steps.page = await ask(plural, { query: { limit: 2 } });
  const cursor = steps.page.body.meta?.nextCursor;
  steps.next = await ask(plural, { query: { limit: 2, cursor } });
  steps.deleted = await ask(`delete${kind}`, { path: at });
  steps.gone = await ask(`get${kind}`, { path: at });
}

told.incoming = await ask("listPendingImageShares", {});
const [first, second] = told.incoming.body;
told.declined = await ask("declineImageShare", { path: { pendingShareId: first.id } });
told.accepted = await ask("acceptImageShare", { path: { pendingShareId: second.id } });
told.later = await ask("listPendingImageShares", { query: { direction: "incoming" } });
console.log(JSON.stringify(told));
