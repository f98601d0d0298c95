// The log, as it grows.  All lines are kept as text; of those that are wanted only the last SHOWN
// are elements, so that a log of any length scrolls.  New ones are added once a frame, and the pane
// has a height of its own, so that nothing else on the page moves.

import { el, setText } from "./dom.js";
import { bytes, duration, moment, number, plain, plural } from "./text.js";

const SHOWN = 2000;
const NEAR = 24; // px from the end that count as being there

const STATES = {
  running: (event) => event.name,
  cached: () => "CACHED",
  done: (event) => `DONE ${duration(moment(event.end) - moment(event.start))}` +
    (event.bytes ? `, ${bytes(event.bytes)}` : ""),
  failed: (event) => `FAILED ${event.text ?? ""}`,
};

function lineOf(event) {
  const kind = event.severity === "ERROR" ? "error" : event.severity === "WARNING" ? "warning"
    : event.state ?? (event.stream ? "" : "remark");
  const text = event.state ? STATES[event.state](event) : event.text;
  return { step: event.step ?? null, kind, state: event.state ?? null, stream: event.stream ?? null,
    text: plain(text ?? "") };
}

function elementOf(line) {
  return el("div", { class: `line ${line.kind}` },
    el("span", { class: "no" }, line.step === null ? "" : String(line.step)),
    el("span", {}, line.text));
}

export class Log {
  constructor() {
    this.lines = [];
    this.wanted = []; // those of the step and the text that are asked for
    this.pending = [];
    this.step = null;
    this.text = "";
    this.following = true;
    this.frame = 0;
    this.earlier = el("p", { class: "earlier", hidden: true });
    this.shown = el("div");
    this.pane = el("div", { class: "log", tabindex: "0", role: "log", "aria-live": "off",
      "aria-label": "Build log" }, this.earlier, this.shown);
    this.count = el("span", { class: "dim" });
    this.search = el("input", { type: "search", placeholder: "Find in the log", "aria-label":
      "Show only lines of the log with this text" });
    this.follow = el("input", { type: "checkbox", checked: true });
    this.save = el("button", { type: "button", class: "quiet" }, "Save");
    this.element = el("section", { "aria-label": "Log" },
      el("div", { class: "log-head" }, el("h2", {}, "Log"), this.count,
        el("span", { class: "tools" }, this.search,
          el("label", {}, this.follow, " Follow"), this.save)),
      this.pane);
    this.listen();
    this.tell();
  }

  listen() {
    let timer;
    this.search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => { this.text = this.search.value.toLowerCase(); this.choose(); }, 150);
    });
    this.follow.addEventListener("change", () => {
      this.following = this.follow.checked;
      if (this.following) this.pane.scrollTop = this.pane.scrollHeight;
    });
    // Whoever scrolls up reads; at the end it follows again.
    this.pane.addEventListener("scroll", () => {
      const below = this.pane.scrollHeight - this.pane.scrollTop - this.pane.clientHeight;
      if (this.frame === 0) this.follow.checked = this.following = below <= NEAR;
    }, { passive: true });
    this.save.addEventListener("click", () => this.download());
  }

  wants(line) {
    return (this.step === null || line.step === this.step) &&
      (this.text === "" || line.text.toLowerCase().includes(this.text));
  }

  add(events) {
    for (const event of events) {
      const line = lineOf(event);
      this.lines.push(line);
      if (!this.wants(line)) continue;
      this.wanted.push(line);
      this.pending.push(line);
    }
    this.schedule();
  }

  // Only the lines of that step; null: of all.
  only(step) {
    this.step = step;
    this.choose();
  }

  choose() {
    this.wanted = this.lines.filter((line) => this.wants(line));
    this.pending = this.wanted.slice(-SHOWN);
    this.shown.replaceChildren();
    this.schedule();
  }

  schedule() {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.flush());
  }

  flush() {
    const fresh = this.pending.slice(-SHOWN);
    this.pending = [];
    for (let n = this.shown.childElementCount + fresh.length - SHOWN; n > 0 && this.shown.firstChild; n--)
      this.shown.firstChild.remove();
    this.shown.append(...fresh.map(elementOf));
    if (this.following) this.pane.scrollTop = this.pane.scrollHeight;
    this.frame = 0;
    this.tell();
  }

  tell() {
    const all = this.lines.length;
    const some = this.wanted.length;
    const which = this.step === null ? "" : ` of step ${this.step}`;
    let text = all === 0 ? "nothing yet" : plural(some, "line") + which;
    if (all > 0 && some < all) text += ` of ${number(all)}`;
    setText(this.count, text);
    this.earlier.hidden = some <= SHOWN;
    setText(this.earlier, `${plural(some - SHOWN, "earlier line")} not shown here. Save has all of them.`);
  }

  end() {
    this.follow.parentElement.hidden = true;
    if (this.lines.length === 0) setText(this.count, "empty");
  }

  // What the step's output ended with.
  last(step, n) {
    return this.lines.filter((line) => line.step === step && line.stream).slice(-n)
      .map((line) => line.text);
  }

  // The lines of the Dockerfile that a failure is about, as the log has them.
  excerpt() {
    return this.lines.filter((line) => line.kind === "error" && /^(>>>|\s*\d+ \||-{3,}|\S+:\d+$)/.test(
      line.text)).map((line) => line.text);
  }

  download() {
    const text = this.lines.map((line) => (line.step === null ? "" : `#${line.step} `) + line.text + "\n");
    const url = URL.createObjectURL(new Blob(text, { type: "text/plain" }));
    el("a", { href: url, download: "build.log" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }
}
