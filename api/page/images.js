// The images of the workspace, and one of them with its tags and shares.

import { apiUrl, get, now, poll, session } from "./server.js";
import { commands, el, empty, facts, setText } from "./dom.js";
import { ago, bytes, date, moment, plural } from "./text.js";
import { statusBadge } from "./builds.js";

const EVERY = 5000;

function pathOf(metadata) {
  return `${metadata.resourceType}/${encodeURIComponent(metadata.name)}`;
}

function when(text) {
  const then = moment(text);
  return then === null ? "never" : el("time", { datetime: text, title: date(then) }, ago(then, now()));
}

// Of its builds: "latest" is one of them once more.
function tagCount(image) {
  const n = image.spec.tags.filter((tag) => tag.name !== "latest").length;
  return n === 0 ? "none" : plural(n, "tag");
}

// With which workspaces an image of ours is shared, in words; with none one of another's, or one that
// was deleted meanwhile.
async function sharesOf(image, signal) {
  if (image.metadata.sourceWorkspace) return [];
  try {
    const list = await get(`/v0/images/${pathOf(image.metadata)}/share`, signal);
    return list.map((share) => `${share.status === "pending" ? "offered to" : "with"} ${
      share.workspace}`);
  } catch (error) {
    if (error.status === 404) return [];
    throw error;
  }
}

// ---- the list ----

function rowOf(image) {
  const m = image.metadata;
  const shares = el("td", { class: "shares" }, m.sourceWorkspace ? `from ${m.sourceWorkspace}` : "");
  const row = el("tr", {},
    el("th", { scope: "row" }, el("a", { href: `#/images/${pathOf(m)}` },
      el("span", { class: "type" }, `${m.resourceType}/`), el("wbr"), m.name)),
    el("td", {}, statusBadge(m.status)),
    el("td", { class: "num" }, image.spec.size ? bytes(image.spec.size) : ""),
    el("td", { class: "tags" }, tagCount(image)),
    el("td", { class: "when" }, when(m.lastDeployedAt)), shares);
  return { row, shares, image };
}

const NO_IMAGES = () => `URL=$(curl -sS -D- -o /dev/null -H "Authorization: Bearer $KEY" \\
  -d '{"name":"demo","resourceType":"sandbox"}' '${apiUrl()}/images?upload=true' |
  sed -n 's/^[Xx]-[Bb]laxel-[Uu]pload-[Uu]rl: *//p' | tr -d '\\r')
curl -sS -f -T demo.zip "$URL"

# or one that another registry has:
curl -sS -H "Authorization: Bearer $KEY" '${apiUrl()}/images' \\
  -d '{"name":"alpine","resourceType":"sandbox","image":"docker.io/library/alpine:3"}'`;

export function imagesView({ failed, signal }) {
  const body = el("tbody");
  const place = el("div", { class: "wait" }, el("p", { class: "dim" }, "Asking for the images…"));
  const table = el("table", { class: "list images", hidden: true },
    el("caption", { class: "unseen" }, "Images"),
    el("thead", {}, el("tr", {}, ["Image", "Status", "Size", "Tags", "Built", "Shared"].map(
      (name, i) => el("th", { scope: "col", class: ["", "", "num", "tags", "when", "shares"][i] },
        name)))), body);
  const shared = new Map(); // "sandbox/demo" -> {newest, words}: asked for when something happened
  let shown = "";

  async function fillShares(rows) {
    for (const { image, shares } of rows) {
      if (image.metadata.sourceWorkspace) continue;
      const path = pathOf(image.metadata);
      const newest = image.metadata.events.at(-1)?.time;
      if (shared.get(path)?.newest !== newest || !shared.has(path))
        shared.set(path, { newest, words: await sharesOf(image, signal) });
      setText(shares, shared.get(path).words.join(", "));
    }
  }

  poll(async () => {
    const images = await get("/v0/images", signal);
    const text = JSON.stringify(images);
    if (text !== shown) {
      const rows = images.map(rowOf);
      shown = text;
      body.replaceChildren(...rows.map(({ row }) => row));
      table.hidden = images.length === 0;
      place.replaceChildren(images.length ? "" : empty("No images yet",
        "An image is there once its first build is asked for.", NO_IMAGES()));
      await fillShares(rows);
    }
    return EVERY;
  }, failed, signal);
  return el("section", {}, el("h1", {}, "Images"), place, table);
}

// ---- one ----

function tagsTable(image) {
  const tags = [...image.spec.tags].sort((a, b) =>
    (b.name === "latest") - (a.name === "latest") || b.createdAt.localeCompare(a.createdAt));
  const moved = (tag) => tag.updatedAt !== tag.createdAt;
  const columns = ["Tag", "Size", "Made", "Moved"].slice(0, tags.some(moved) ? 4 : 3);
  return el("table", { class: "list" },
    el("caption", {}, "Tags"),
    el("thead", {}, el("tr", {}, columns.map((name, i) =>
      el("th", { scope: "col", class: ["", "num", "", "when"][i] }, name)))),
    el("tbody", {}, tags.map((tag) => el("tr", {},
      el("th", { scope: "row" }, el("code", {}, tag.name)),
      el("td", { class: "num" }, bytes(tag.size)),
      el("td", {}, when(tag.createdAt)),
      columns.length < 4 ? null
        : el("td", { class: "when" }, moved(tag) ? when(tag.updatedAt) : "")))));
}

function eventsOf(image) {
  const events = image.metadata.events.slice(-8).reverse();
  if (events.length === 0) return null;
  return el("details", {}, el("summary", {}, "What happened last"),
    el("ul", { class: "events" }, events.map((event) => el("li", {}, when(event.time), " ",
      el("span", {}, event.message.split("\n")[0]), event.revision ? " " : null,
      event.revision ? el("code", {}, event.revision) : null))));
}

function sharesText(image, shares) {
  if (image.metadata.sourceWorkspace)
    return `From the workspace ${image.metadata.sourceWorkspace}, whose it is`;
  const words = shares.length ? shares.join(", ") : "with nobody";
  return words[0].toUpperCase() + words.slice(1);
}

function pullCommands(image) {
  const registry = image.metadata.displayName.split("/")[0];
  return `podman login -u ${session.workspace} -p "$KEY" ${registry}
podman pull ${image.metadata.displayName}:latest`;
}

function imageBody(image, shares) {
  const m = image.metadata;
  return [
    el("div", { class: "build-head" }, el("h1", {}, el("span", { class: "type" },
      `${m.resourceType}/`), m.name), statusBadge(m.status)),
    facts([["Size", image.spec.size ? bytes(image.spec.size) : null],
      ["Built", when(m.lastDeployedAt)], ["First asked for", when(m.createdAt)],
      ["Shared", sharesText(image, shares)]]),
    image.spec.tags.length ? tagsTable(image)
      : el("p", { class: "dim" }, "It has no tags: no build of it has succeeded yet."),
    image.spec.tags.length ? el("section", {}, el("h2", {}, "Pull it"), commands(pullCommands(image)))
      : null,
    eventsOf(image),
  ].filter((part) => part !== null);
}

export function imageView({ words: [type, name], failed, signal }) {
  const place = el("section", { class: "build" }, el("p", { class: "dim" }, "Asking for the image…"));
  let shown = "";

  poll(async () => {
    const path = `/v0/images/${encodeURIComponent(type)}/${encodeURIComponent(name)}`;
    const image = await get(path, signal);
    const shares = await sharesOf(image, signal);
    const text = JSON.stringify([image, shares]);
    if (text !== shown) {
      const open = place.querySelector("details")?.open;
      place.replaceChildren(...imageBody(image, shares));
      if (open) place.querySelector("details").open = true;
    }
    shown = text;
    return EVERY;
  }, (error) => {
    failed(error);
    if (error?.status === 404)
      place.replaceChildren(el("h1", {}, "There is no such image"), el("p", {},
        el("a", { href: "#/images" }, "These are the images of this workspace.")));
  }, signal);
  return place;
}
