// The list of builds, as they run.

import { apiUrl, get, now, poll, session } from "./server.js";
import { el, empty, say, setText } from "./dom.js";
import { ago, date, duration, moment } from "./text.js";

const EVERY = 2000;
const PAGE = 50;
const ENDED = { SUCCEEDED: "succeeded", FAILED: "failed", CANCELLED: "cancelled" };

export function hasEnded(build) {
  return build.status in ENDED;
}

// How long it runs or ran, in ms; null before it begins.
export function timeOf(build) {
  const began = moment(build.startedAt);
  return began === null ? null : (moment(build.finishedAt) ?? now()) - began;
}

export function statusBadge(status) {
  return el("span", { class: `badge ${status.toLowerCase()}` }, statusText(status));
}

function statusText(status) {
  return status[0] + status.slice(1).toLowerCase();
}

export function setBadge(badge, status) {
  setText(badge, statusText(status));
  const name = `badge ${status.toLowerCase()}`;
  if (badge.className !== name) badge.className = name;
}

function buildHref(build) {
  return `#/builds/${encodeURIComponent(build.id)}`;
}

function pushCommands() {
  return `export BL_API_URL=${apiUrl()} BL_API_KEY=$KEY BL_WORKSPACE=${session.workspace}
bl push --type sandbox                    # in the project's folder

# or without bl:
URL=$(curl -sS -D- -o /dev/null -H "Authorization: Bearer $KEY" \\
  -d '{"name":"demo","resourceType":"sandbox"}' '${apiUrl()}/images?upload=true' |
  sed -n 's/^[Xx]-[Bb]laxel-[Uu]pload-[Uu]rl: *//p' | tr -d '\\r')
curl -sS -f -T demo.zip "$URL"`;
}

// ---- a row ----

function newRow(build) {
  const badge = statusBadge(build.status);
  const step = el("span", { class: "dim step-now" });
  const began = el("td", { class: "when", title: date(moment(build.createdAt)) });
  const took = el("td", { class: "num" });
  const row = el("tr", {},
    el("td", {}, badge, step),
    el("th", { scope: "row" }, el("a", { href: buildHref(build) },
      el("span", { class: "type" }, `${build.resourceType}/`), el("wbr"), build.name)),
    el("td", { class: "tag" }, el("code", {}, build.tag ?? "")), began, took);

  function update(newer) {
    build = newer;
    setBadge(badge, build.status);
    setText(step, build.step ? ` ${build.step}` : "");
    setText(row.querySelector("code"), build.tag ?? "");
    tick();
  }

  function tick() {
    const time = timeOf(build);
    setText(began, ago(moment(build.createdAt), now()));
    setText(took, time === null ? "" : duration(time));
  }

  tick();
  return { row, update, tick, get status() { return build.status; } };
}

// ---- the view ----

export function buildsView({ failed, signal }) {
  const body = el("tbody");
  const table = el("table", { class: "list builds", hidden: true },
    el("caption", { class: "unseen" }, "Builds, newest first"),
    el("thead", {}, el("tr", {}, ["Status", "Name", "Tag", "Asked for", "Took"].map(
      (name, i) => el("th", { scope: "col", class: ["", "", "tag", "when", "num"][i] }, name)))),
    body);
  const more = el("button", { type: "button", class: "quiet", hidden: true }, "Show older builds");
  const place = el("div", { class: "wait" }, el("p", { class: "dim" }, "Asking for the builds…"));
  const total = el("span", { class: "dim" });
  const rows = new Map();
  let cursor = "";

  // Puts the builds, newest first, before or after what is there.
  function put(builds, atEnd) {
    let before = atEnd ? null : body.firstChild;
    for (const build of builds) {
      const known = rows.get(build.id);
      if (known) {
        if (known.status !== build.status && hasEnded(build))
          say(`${build.resourceType} ${build.name} ${ENDED[build.status]}`);
        known.update(build);
        before = atEnd ? before : known.row.nextSibling;
      } else {
        const row = newRow(build);
        rows.set(build.id, row);
        body.insertBefore(row.row, before);
      }
    }
  }

  function showPage(answer) {
    setText(total, answer.meta.total > 1 ? ` ${answer.meta.total}` : "");
    if (cursor === "" && answer.meta.hasMore) {
      cursor = answer.meta.nextCursor;
      more.hidden = false;
    }
    put(answer.data, false);
    table.hidden = rows.size === 0;
    if (rows.size) place.replaceChildren();
    else if (!place.querySelector(".empty"))
      place.replaceChildren(empty("No builds yet", "Push a project, and watch it being built here.",
        pushCommands()));
  }

  more.addEventListener("click", async () => {
    more.disabled = true;
    try {
      const older = await get(`/v0/builds?limit=${PAGE}&cursor=${encodeURIComponent(cursor)}`, signal);
      put(older.data, true);
      cursor = older.meta.nextCursor;
      more.hidden = !older.meta.hasMore;
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
    more.disabled = false;
  });

  poll(async () => {
    showPage(await get(`/v0/builds?limit=${PAGE}`, signal));
    return EVERY;
  }, failed, signal);
  const timer = setInterval(() => rows.forEach((row) => row.tick()), 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  return el("section", {}, el("h1", {}, "Builds", total), place, table, more);
}
