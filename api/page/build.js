// One build: what it is, why it failed, its steps and its log, as they come.

import { followLog, get, poll, readLog } from "./server.js";
import { el, facts, say, setText } from "./dom.js";
import { bytes, date, duration, moment } from "./text.js";
import { hasEnded, setBadge, statusBadge, timeOf } from "./builds.js";
import { Steps } from "./steps.js";
import { Log } from "./log.js";

const EVERY = 1000;
const AGAIN = 30000; // ms until a log is followed again, where that did not go well

// ---- the head ----

function sourceOf(build) {
  if (!build.source) return null;
  const image = build.source.startsWith("docker://") ? build.source.slice("docker://".length) : null;
  return el("code", {}, image ? `image ${image}` : build.source);
}

function imageOf(build) {
  if (!["sandbox", "agent", "function", "job"].includes(build.resourceType)) return null;
  if (build.status !== "SUCCEEDED") return null;
  return el("a", { href: `#/images/${build.resourceType}/${encodeURIComponent(build.name)}` },
    `${build.resourceType}/${build.name}:${build.tag}`);
}

function factsOf(build) {
  const began = moment(build.startedAt);
  const waited = began === null || !build.uploadedAt ? 0 : began - moment(build.uploadedAt);
  return facts([
    ["Asked for", date(moment(build.createdAt))],
    ["Waited for a worker", waited > 1500 ? duration(waited) : null],
    ["Tries", build.attempts > 1 ? String(build.attempts) : null],
    ["Image", imageOf(build)],
    ["Size", build.size ? bytes(build.size) : null],
    ["Source", sourceOf(build)],
    ["Cache", build.noCache ? "not used: noCache" : null],
    ["Digest", build.digest ? el("code", {}, build.digest) : null],
  ]);
}

// ---- why it failed ----

// The reason, the lines of the Dockerfile that it is about, and what was said last by the step.
function failureOf(build, steps, log) {
  const step = steps.failed();
  const said = step ? log.last(step.number, 12) : [];
  const excerpt = log.excerpt();
  return el("section", { class: "failure", "aria-label": "Why it failed" },
    el("h2", {}, step ? `Failed at ${step.name}` : "Failed"),
    el("p", {}, step?.code === undefined ? build.message || "The log says why."
      : `The command ended with exit code ${step.code}.`),
    excerpt.length ? el("pre", { tabindex: "0", class: "excerpt" }, excerpt.join("\n")) : null,
    said.length ? el("details", { open: true },
      el("summary", {}, "What it said last"),
      el("pre", { tabindex: "0" }, said.join("\n"))) : null,
    el("p", { class: "dim" }, "Mend it and push again: what was built before it is kept, and is not " +
      "built a second time."));
}

// ---- the view ----

export function buildView({ words: [id], failed, signal }) {
  const head = el("div", { class: "build-head" });
  const badge = statusBadge("QUEUED");
  const time = el("span", { class: "took num" });
  const about = el("div");
  const note = el("p", { class: "dim", hidden: true });
  const failure = el("div");
  const log = new Log();
  const steps = new Steps((number) => log.only(number));
  let build = null;
  let last = 0;
  let follower = null; // of the log; without one it is asked for with the status
  let followAt = 0;

  function tick() {
    const took = build && timeOf(build);
    setText(time, took === null || took === undefined ? "" : duration(took));
    steps.draw(build === null || !hasEnded(build));
  }

  function noteOf() {
    if (build.status === "UPLOADING") return "Waiting for the upload of its archive.";
    if (build.status === "QUEUED")
      return build.attempts ? `It will be tried again: ${build.message || "a worker was lost"}.`
        : "Waiting for a worker that is free.";
    if (build.status === "CANCELLED") return `Cancelled: ${build.message || "nobody needs it"}.`;
    return "";
  }

  function showBuild(newer) {
    const before = build;
    build = newer;
    if (!before)
      head.replaceChildren(el("h1", {}, el("span", { class: "type" }, `${build.resourceType}/`),
        build.name, build.tag ? el("code", { class: "tag" }, build.tag) : ""), badge, time);
    document.title = `${build.name} ${build.status.toLowerCase()} · Kiln`;
    setBadge(badge, build.status);
    setText(note, noteOf());
    note.hidden = !note.textContent;
    if (JSON.stringify(before) !== JSON.stringify(build)) about.replaceChildren(factsOf(build));
    if (!hasEnded(build)) steps.live(true); // and stays so: nothing jumps at the end
    if (before && before.status !== build.status) say(`Build of ${build.name}: ${build.status}`);
  }

  function add(all) {
    const events = all.filter((event) => event.seq > last);
    if (!events.length) return;
    last = events[events.length - 1].seq;
    steps.add(events);
    log.add(events);
    const failedStep = steps.takeNews();
    if (failedStep) say(`${failedStep.name} failed`);
  }

  // A tab that nobody looks at holds no connection: browsers have six for a server.
  document.addEventListener("visibilitychange", () => {
    followAt = 0;
    if (document.hidden) follower?.stop();
  }, { signal });

  function follow() {
    if (follower || document.hidden || Date.now() < followAt) return;
    followAt = Date.now() + AGAIN;
    follower = followLog(build.log, last, add, () => { follower = null; }, signal);
  }

  // The status first, then the log: so the log of a build that has ended is read to its end.
  poll(async () => {
    showBuild(await get(`/v0/builds/${encodeURIComponent(id)}`, signal));
    const ended = hasEnded(build);
    if (build.log && build.status !== "UPLOADING") {
      if (ended || !follower?.heard) await readLog(build.log, last, add, signal);
      if (ended) follower?.stop();
      else follow();
    }
    tick();
    if (!ended) return EVERY;
    log.end();
    if (build.status === "FAILED") failure.replaceChildren(failureOf(build, steps, log));
    return 0;
  }, (error) => {
    failed(error);
    if (error?.status === 404) {
      head.replaceChildren(el("h1", {}, "There is no such build"));
      about.replaceChildren(el("p", {}, "It may belong to another workspace, or be forgotten. ",
        el("a", { href: "#/builds" }, "These are the builds there are.")));
      log.element.hidden = steps.element.hidden = true;
    }
  }, signal);
  const timer = setInterval(() => { if (!build || !hasEnded(build)) tick(); }, 500);
  signal.addEventListener("abort", () => clearInterval(timer));
  return el("section", { class: "build" }, head, note, about, failure,
    el("div", { class: "progress" }, steps.element, log.element));
}
