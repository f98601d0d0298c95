// The page: who is asking, and which view the fragment of the URL names.  A view is a function from
// the words of the fragment to a node; it works until its signal is aborted.

import { el, notice, say } from "./dom.js";
import { Refusal, session, workspacesOf } from "./server.js";
import { buildsView } from "./builds.js";
import { buildView } from "./build.js";
import { imagesView, imageView } from "./images.js";
import { templatesView } from "./templates.js";

const main = document.getElementById("main");
const sections = document.getElementById("sections");
const who = document.getElementById("who");
const choice = document.getElementById("workspace");
let running = new AbortController();

// ---- views ----

// "#/images/sandbox/demo" -> ["images", "sandbox", "demo"]
function words() {
  try {
    return location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return ["?"];
  }
}

function viewOf([section = "builds", ...rest]) {
  if (section === "builds" && rest.length === 0) return ["Builds", buildsView];
  if (section === "builds" && rest.length === 1) return ["Build", buildView];
  if (section === "images" && rest.length === 0) return ["Images", imagesView];
  if (section === "images" && rest.length === 2) return [`${rest[1]} · Image`, imageView];
  if (section === "templates" && rest.length === 0) return ["Templates", templatesView];
  return ["Nothing here", nothingView];
}

function nothingView() {
  return el("section", {}, el("h1", {}, "There is nothing at this address"),
    el("p", {}, "The page has ", el("a", { href: "#/builds" }, "builds"), ", ",
      el("a", { href: "#/images" }, "images"), " and ",
      el("a", { href: "#/templates" }, "templates"), "."));
}

// What a view is given to tell the user of a failed request; null when it went well.
function failed(error) {
  if (!error) return notice("");
  if (error.status === 401) return signOut(`${error.message}`);
  if (error instanceof Refusal) return notice(error.message);
  notice(`${error.message} This is tried again by itself; what is shown may be old.`);
}

function show(isNew) {
  running.abort();
  running = new AbortController();
  notice("");
  const asked = words();
  const [title, view] = viewOf(asked);
  document.title = `${title} · Kiln`;
  for (const link of sections.children) {
    const here = link.getAttribute("href") === `#/${asked[0] ?? "builds"}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.replaceChildren(view({ words: asked.slice(1), failed, signal: running.signal }));
  if (isNew) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
    say(title);
  }
}

// ---- the key ----

function enter(workspaces) {
  choice.replaceChildren(...workspaces.map((name) => el("option", {}, name)));
  if (!workspaces.includes(session.workspace)) session.workspace = workspaces[0];
  choice.value = session.workspace;
  choice.disabled = workspaces.length < 2;
  sections.hidden = who.hidden = false;
  show(false);
}

async function tryKey(key) {
  const workspaces = await workspacesOf(key);
  if (workspaces.length === 0)
    throw new Refusal(0, "This key's account has no workspace yet. Make one with " +
      "`kiln workspace create NAME --account ACCOUNT`.");
  session.key = key;
  enter(workspaces);
}

function whyNot(error) {
  if (error.status === 401)
    return "Kiln does not know this key, or it has expired or was revoked. Look for one that " +
      "begins with bl_, or make a new one with the command below.";
  return error instanceof Refusal ? error.message : `${error.message} Is it running? Try again.`;
}

function signIn(why) {
  const key = el("input", { type: "password", id: "key", name: "key", required: true,
    autocomplete: "current-password", spellcheck: "false", placeholder: "bl_…",
    "aria-describedby": "key-why key-note" });
  const problem = el("p", { class: "problem", id: "key-why", role: "alert" }, why);
  const button = el("button", {}, "Open");

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = "";
    try {
      await tryKey(key.value.trim());
    } catch (error) {
      problem.textContent = whyNot(error);
      key.setAttribute("aria-invalid", "true");
      key.focus();
    }
    button.disabled = false;
  }

  running.abort();
  notice("");
  sections.hidden = who.hidden = true;
  document.title = "Kiln";
  main.replaceChildren(el("form", { class: "sign-in", onsubmit: submit },
    el("h1", {}, "Open a workspace"),
    el("label", { for: "key" }, "API key"),
    el("div", { class: "field" }, key, button), problem,
    el("p", { id: "key-note", class: "note" }, "It is kept in this tab until you close it, and sent " +
      "to this Kiln only. On the machine that Kiln runs on, this makes one:"),
    el("pre", { class: "note", tabindex: "0" }, "kiln key create --workspace NAME --role member")));
  key.focus();
}

function signOut(why) {
  session.forget();
  signIn(why);
}

// ---- begin ----

addEventListener("hashchange", () => {
  if (session.key && !who.hidden && (location.hash === "" || location.hash.startsWith("#/"))) show(true);
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.getElementById("forget").addEventListener("click", () => signOut(""));
choice.addEventListener("change", () => {
  session.workspace = choice.value;
  if (words().length > 1) location.hash = `#/${words()[0]}`;
  else show(true);
});

if (session.key) tryKey(session.key).catch((error) => signOut(whyNot(error)));
else signIn("");
