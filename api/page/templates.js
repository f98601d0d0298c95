// Volume templates: their revisions, and what these have in common, drawn.
//
// Each revision is a bar as long as it has bytes.  One is picked, at first the latest; of each bar
// the part is filled that the picked one has, too.

import { apiUrl, get, now, poll, Refusal } from "./server.js";
import { el, empty, setText, svg } from "./dom.js";
import { ago, bytes, date, moment, percent, plural } from "./text.js";

const EVERY = 10000;
const WIDTH = 1000; // of the drawing, in its own units

// ---- the drawing ----

// {"1,2": bytes} of every two, in both orders, and of each with itself.
function overlapsOf(sharing) {
  const both = new Map();
  for (const { name, bytes: n } of sharing.versions) both.set(`${name},${name}`, n);
  for (const { versions: [a, b], bytes: n } of sharing.shared) {
    both.set(`${a},${b}`, n);
    both.set(`${b},${a}`, n);
  }
  return both;
}

class Drawing {
  constructor(template, sharing) {
    this.both = overlapsOf(sharing);
    this.largest = Math.max(1, ...sharing.versions.map((version) => version.bytes));
    this.rows = sharing.versions.map((version) => this.rowOf(template, version)).reverse();
    this.element = el("fieldset", { class: "sharing" },
      el("legend", {}, this.rows.length > 1
        ? "Filled: what each revision has in common with the one that is picked"
        : "One revision so far"),
      this.rows.map((row) => row.element));
    this.pick(this.rows[0]);
  }

  rowOf(template, version) {
    const full = (WIDTH * version.bytes) / this.largest;
    const part = svg("rect", { class: "part", height: 14, rx: 2 });
    const words = el("span", { class: "words" });
    const input = el("input", { type: "radio", name: `picked-${template}` });
    const element = el("label", {}, input, el("span", { class: "version" }, `v${version.name}`),
      svg("svg", { viewBox: `0 0 ${WIDTH} 14`, preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { class: "whole", width: full.toFixed(1), height: 14, rx: 2 }), part), words);
    const row = { version, input, part, words, element };
    input.addEventListener("change", () => this.pick(row));
    return row;
  }

  pick(picked) {
    picked.input.checked = true;
    for (const row of this.rows) {
      const shared = this.both.get(`${row.version.name},${picked.version.name}`) ?? 0;
      row.element.className = row === picked ? "picked" : "";
      row.part.setAttribute("width", ((WIDTH * shared) / this.largest).toFixed(1));
      setText(row.words, row === picked ? bytes(row.version.bytes)
        : `${bytes(shared)} of ${bytes(row.version.bytes)} shared with v${picked.version.name}, ` +
          percent(shared, row.version.bytes));
    }
  }
}

// ---- a template ----

const COLUMNS = [
  ["Revision", "", null],
  ["Packed", "when", null],
  ["Content", "num", "Bytes that its files hold"],
  ["Added", "num", "Bytes that packing it added to the store, compressed"],
  ["Already there", "num", "Bytes that were in the store already when it was packed"],
];

function versionRow(version) {
  const packed = moment(version.createdAt);
  return el("tr", {},
    el("th", { scope: "row" }, `v${version.name}`),
    el("td", { class: "when" }, el("time", { datetime: version.createdAt, title: date(packed) },
      ago(packed, now()))),
    [version.contentSize, version.bytesAdded, version.bytesShared].map((n) =>
      el("td", { class: "num" }, bytes(n))));
}

function versionsTable(template) {
  return el("table", { class: "list" },
    el("caption", { class: "unseen" }, `Revisions of ${template.metadata.name}`),
    el("thead", {}, el("tr", {}, COLUMNS.map(([name, kind, title]) =>
      el("th", { scope: "col", class: kind, title }, name)))),
    el("tbody", {}, [...template.versions].reverse().map(versionRow)));
}

function whyNone(template) {
  if (template.state.status === "error")
    return "Its last upload came to nothing: the build says why.";
  return "It has no revision yet: upload an archive for it.";
}

class Card {
  constructor(template, signal) {
    this.signal = signal;
    this.drawing = el("div", { class: "drawing" });
    this.body = el("div");
    this.summary = el("p", { class: "dim" });
    this.element = el("section", { class: "card" }, el("h2", {}, template.metadata.name),
      this.summary, this.drawing, this.body);
    this.seen = "";
  }

  async update(template) {
    const text = JSON.stringify(template.versions) + template.state.status;
    if (text === this.seen) return;
    const { versions, spec } = template;
    setText(this.summary, [plural(versions.length, "revision"),
      spec.defaultSize ? `volumes of ${spec.defaultSize} MB unless they say otherwise` : null,
      template.state.status === "error" && versions.length ? "the last upload failed" : null,
    ].filter(Boolean).join(" · "));
    this.body.replaceChildren(versions.length ? versionsTable(template)
      : el("p", {}, whyNone(template), " ", el("a", { href: "#/builds" }, "Builds")));
    this.seen = text;
    if (versions.length) await this.draw(template);
  }

  // Compared on demand, a few at once: 429 is asked again by the poll.
  async draw(template) {
    const { name } = template.metadata;
    try {
      const path = `/v0/volume_templates/${encodeURIComponent(name)}/sharing`;
      const sharing = await get(path, this.signal);
      this.drawing.replaceChildren(sharing.versions.length
        ? new Drawing(name, sharing).element : "");
    } catch (error) {
      this.seen = "";
      if (error instanceof Refusal && error.status !== 429)
        this.drawing.replaceChildren(el("p", { class: "dim" }, `Not drawn: ${error.message}`));
      if (!(error instanceof Refusal) || error.status === 401) throw error;
    }
  }
}

// ---- the view ----

const NO_TEMPLATES = () => `URL=$(curl -sS -D- -o /dev/null -H "Authorization: Bearer $KEY" \\
  -d '{"metadata":{"name":"deps"},"spec":{"defaultSize":2048}}' \\
  '${apiUrl()}/volume_templates?upload=true' |
  sed -n 's/^[Xx]-[Bb]laxel-[Uu]pload-[Uu]rl: *//p' | tr -d '\\r')
tar -C node_modules -c . | curl -sS -f -T - "$URL"`;

export function templatesView({ failed, signal }) {
  const place = el("div", { class: "wait" }, el("p", { class: "dim" }, "Asking for the templates…"));
  const list = el("div");
  const cards = new Map();

  poll(async () => {
    const templates = await get("/v0/volume_templates", signal);
    for (const [name, card] of cards) {
      if (templates.some((template) => template.metadata.name === name)) continue;
      card.element.remove();
      cards.delete(name);
    }
    if (templates.length) place.replaceChildren();
    else if (!place.querySelector(".empty"))
      place.replaceChildren(empty("No templates yet", "A volume template is a tree of files that " +
        "volumes begin with. Upload one, as a tar or a ZIP.", NO_TEMPLATES()));
    for (const template of templates) {
      const { name } = template.metadata;
      if (!cards.has(name)) {
        cards.set(name, new Card(template, signal));
        list.append(cards.get(name).element);
      }
      await cards.get(name).update(template);
    }
    return EVERY;
  }, failed, signal);
  return el("section", {}, el("h1", {}, "Templates"), place, list);
}
