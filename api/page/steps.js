// The steps of a build, a row each, with a bar where in time each lies.

import { el, setText, svg } from "./dom.js";
import { now } from "./server.js";
import { bytes, duration, moment, plain } from "./text.js";

const WORDS = { running: "runs", cached: "cached", done: "done", failed: "failed", stopped: "stopped" };
const WHY = "not cached: ";

class Step {
  constructor(event, onpick) {
    this.number = event.step;
    this.name = plain(event.name ?? event.text ?? `step ${event.step}`);
    this.state = "running";
    this.start = moment(event.start ?? event.time);
    this.finish = null;
    this.word = el("span", { class: "word" });
    this.why = el("span", { class: "why dim" });
    this.time = el("span", { class: "num time" });
    this.size = el("span", { class: "num size" });
    this.bar = svg("rect", { y: 0, height: 8, rx: 2 });
    this.button = el("button", { type: "button", "aria-pressed": "false", onclick: () => onpick(this),
      title: "Show the log of this step alone" },
      el("span", { class: "no" }, String(this.number)), el("span", { class: "name" }, this.name));
    this.element = el("li", {}, this.word, this.button, this.time, this.size, this.why,
      svg("svg", { class: "track", viewBox: "0 0 1000 8", preserveAspectRatio: "none",
        "aria-hidden": "true" }, this.bar));
    this.show();
  }

  end(event) {
    this.state = event.state;
    this.start = moment(event.start) ?? this.start;
    this.finish = moment(event.end ?? event.time);
    if (event.bytes) setText(this.size, bytes(event.bytes));
    this.code = event.exitCode;
    if (this.code !== undefined) setText(this.why, `exit code ${this.code}`);
    this.show();
  }

  // The build is over, and nobody said how this ended.
  stop() {
    this.state = "stopped";
    this.show();
  }

  say(text) {
    setText(this.why, text);
  }

  show() {
    setText(this.word, WORDS[this.state]);
    this.element.className = this.state;
  }

  // from, to: of the whole build, in ms.
  draw(from, to) {
    const finish = this.finish ?? to;
    const scale = 1000 / Math.max(1, to - from);
    const width = Math.max(4, (finish - this.start) * scale);
    this.bar.setAttribute("x", Math.min(1000 - width, (this.start - from) * scale).toFixed(1));
    this.bar.setAttribute("width", width.toFixed(1));
    setText(this.time, this.state === "cached" ? "" : duration(finish - this.start));
  }
}

export class Steps {
  // onpick(number): the log of one step is asked for; null: of all.
  constructor(onpick) {
    this.onpick = onpick;
    this.steps = new Map();
    this.picked = null;
    this.news = null;
    this.latest = 0;
    this.list = el("ol", { class: "steps" });
    this.sum = el("span", { class: "dim" });
    this.element = el("section", { "aria-label": "Steps" },
      el("div", { class: "steps-head" }, el("h2", {}, "Steps"), this.sum), this.list);
  }

  pick(step) {
    this.picked?.button.setAttribute("aria-pressed", "false");
    this.picked = this.picked === step ? null : step;
    this.picked?.button.setAttribute("aria-pressed", "true");
    this.onpick(this.picked?.number ?? null);
  }

  add(events) {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    const atEnd = scrollHeight - scrollTop - clientHeight < 40;
    for (const event of events) {
      this.latest = Math.max(this.latest, moment(event.time));
      if (event.step === undefined) continue;
      const step = this.steps.get(event.step);
      if (event.state === "running" || (event.state && !step)) this.begin(event);
      if (event.state && event.state !== "running") this.finish(event);
      else if (step && !event.state && event.stream === undefined) this.remark(step, event.text);
    }
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  // A build that is tried again begins its steps anew.
  begin(event) {
    const old = this.steps.get(event.step);
    const step = new Step(event, (one) => this.pick(one));
    this.steps.set(event.step, step);
    if (old) old.element.replaceWith(step.element);
    else this.list.append(step.element);
    if (old && this.picked === old) {
      this.picked = step;
      step.button.setAttribute("aria-pressed", "true");
    }
  }

  finish(event) {
    const step = this.steps.get(event.step);
    step.end(event);
    if (event.state === "failed") this.news = step;
  }

  remark(step, text) {
    if (text.startsWith(WHY)) step.say(plain(text));
  }

  failed() {
    return [...this.steps.values()].find((step) => step.state === "failed") ?? null;
  }

  // The step that has failed since this was last asked.
  takeNews() {
    const news = this.news;
    this.news = null;
    return news;
  }

  // While the build runs the list keeps its height, and its end in sight.
  live(running) {
    this.element.classList.toggle("live", running);
  }

  draw(running) {
    const all = [...this.steps.values()];
    if (all.length === 0) return;
    const from = Math.min(...all.map((step) => step.start));
    const to = running ? Math.max(now(), this.latest)
      : Math.max(this.latest, ...all.map((step) => step.finish ?? 0));
    const cached = all.filter((step) => step.state === "cached").length;
    if (!running) all.filter((step) => step.state === "running").forEach((step) => step.stop());
    all.forEach((step) => step.draw(from, to));
    setText(this.sum, String(all.length) + (cached ? `, ${cached} cached` : ""));
  }
}
