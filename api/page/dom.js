// Elements.  Text only ever becomes text: strings are appended as text nodes, and nothing here, or
// in the files that use it, parses markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// el("a", {href: "#/builds", onclick: f}, "text", node, [more], null)
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

// Sets the text only when it is another: an unchanged node is not laid out again, nor read aloud.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// For those who listen.
export function say(text) {
  setText(document.getElementById("said"), text);
}

// A sentence at the top, until it is taken away with "".
export function notice(text) {
  const node = document.getElementById("notice");
  setText(node, text);
  node.hidden = !text;
}

// Lines to be typed, with a button that copies them.
export function commands(text) {
  const button = el("button", { type: "button", class: "quiet copy" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy it by hand";
    }
  });
  return el("div", { class: "commands" }, el("pre", { tabindex: "0" }, text), button);
}

// What a list shows when it is empty: a heading, what to do, and how.
export function empty(heading, sentence, lines) {
  return el("section", { class: "empty" }, el("h2", {}, heading), el("p", {}, sentence),
    commands(lines));
}

// <dl> of [name, text or node]; without those that have nothing to say.
export function facts(rows) {
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
