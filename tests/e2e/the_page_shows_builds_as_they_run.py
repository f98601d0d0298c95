"""The page at /, in a headless Chromium: builds as they run, images, templates; by keys, keyboard and
eyes of all kinds.  Nothing that the server says becomes markup, and the console stays silent."""
import json
import os
import random
import re

from browser import Browser
from kiln_server import KilnCase, http_request, main, wait_until, zip_of
from volume_case import tar_with

HOSTILE = """<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>"""
LINES = 5000
# Waits in its cache mount, which is a directory of the data directory, for a file of ours.
GATED = f"""FROM alpine:3.20
RUN echo said by the first
RUN --mount=type=cache,target=/gate printf '%s\\n' '{HOSTILE}'; printf '\\033[31mred\\033[0m text\\n'; touch /gate/is-waiting; until [ -e /gate/go ]; do sleep 0.1; done; i=0; while [ $i -lt {LINES} ]; do echo "line $i of many"; i=$((i+1)); done
COPY data /data
RUN echo said by the last
"""
BROKEN = """FROM alpine:3.20
RUN echo fine
RUN echo "cannot find the module left-pad" >&2; exit 42
"""
VIEWS = ["#/builds", "#/images", "#/images/agent/gated", "#/templates"]

# Of what can be seen and has text of its own: those with a contrast under 4.5 (WCAG 2.1, 1.4.3).
CONTRAST = """
const light = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map(v => v / 255).map(
    v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
const ground = e => {
  for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c;
  }
  return [255, 255, 255];
};
return [...document.body.querySelectorAll('*')].filter(e => e.getClientRects().length &&
    [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) &&
    !e.closest('option, :disabled, .skip'))
  .map(e => {
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5).map(([ratio, what]) => ratio.toFixed(2) + ' ' + what);
"""


class Page(KilnCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.stop)
        cls.root = f"http://127.0.0.1:{cls.kiln.port}"
        cls.admin = cls.kiln.run("key", "create", "--account", "default", "--data-dir",
                                 cls.kiln.data).stdout.strip() if cls.kiln.key() else None
        cls.kiln.key("staging"), cls.kiln.key("void")

    def setUp(self):
        super().setUp()
        self.browser.resize(1280)
        self.browser.colours("light")
        self.addCleanup(lambda: self.assertEqual(self.browser.complaints(), []))
        self.addCleanup(lambda: self.assertIsNone(self.browser.run("return window.hacked ?? null")))

    # ---- what the tests do ----

    def load(self, fragment=""):
        self.browser.open("about:blank")
        self.browser.open(f"{self.root}/{fragment}")

    def come(self, fragment=""):
        """As somebody who has not been here."""
        self.load()
        self.browser.wait_for("#key, nav")
        self.browser.run("sessionStorage.clear()")
        self.load(fragment)
        self.browser.wait_for("#key")

    def sign_in(self, key, fragment=""):
        self.come(fragment)
        self.browser.type("#key", key)
        self.browser.press("Enter")
        self.browser.wait_for("nav")

    def show(self, fragment):
        self.browser.run("location.hash = arguments[0]", fragment)

    def push(self, name, files, kind="agent"):
        answer = self.kiln.request("POST", "/images?upload=true",
                                   {"name": name, "resourceType": kind})
        self.assertEqual(answer.status, 200, answer)
        done = self.kiln.upload(answer.headers["X-Blaxel-Upload-Url"], zip_of(files))
        self.assertEqual(done.status, 200, done)
        return self.kiln.get("/builds?limit=1").json["data"][0]["id"]

    def status(self, build):
        return self.kiln.get(f"/builds/{build}").json["status"]

    def ended(self, build):
        return wait_until("the build has ended", lambda: next(
            (s for s in [self.status(build)] if s in ("SUCCEEDED", "FAILED")), None), 300)

    def gate(self):
        """The directory in which the gated build waits, once it does."""
        return wait_until("the build waits", lambda: next(
            (at for at, _, files in os.walk(self.kiln.data / "builder")
             if "is-waiting" in files), None), 300)

    def gated(self):
        """An image that was built; once for all tests."""
        if not hasattr(type(self), "gated_build"):
            type(self).gated_build = self.push("gated", {"Dockerfile": GATED, "data": "1"})
            open(os.path.join(self.gate(), "go"), "w").close()
        self.assertEqual(self.ended(self.gated_build), "SUCCEEDED")
        return self.gated_build

    def pack(self, name, sizes):
        """The next revision of a template, of a file for each {seed: bytes}."""
        body = {"metadata": {"name": name}, "spec": {}}
        answer = self.kiln.request("PUT", f"/volume_templates/{name}?upload=true", body)
        if answer.status == 404:
            answer = self.kiln.request("POST", "/volume_templates?upload=true", body)
        archive = tar_with(*((f"file-{seed}", b"0", random.Random(seed).randbytes(size))
                             for seed, size in sizes.items()))
        self.assertEqual(http_request("PUT", answer.headers["X-Blaxel-Upload-Url"], archive).status,
                         200)
        wait_until("it is packed", lambda: self.kiln.get(
            f"/volume_templates/{name}").json["status"] == "DEPLOYED", 300)

    def test_the_answer_guards_the_page(self):
        answer = http_request("GET", self.root + "/")
        self.assertEqual((answer.status, answer.headers["Content-Type"]),
                         (200, "text/html; charset=utf-8"))
        self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer.headers.get_all("Cache-Control"), ["no-cache"])
        again = http_request("GET", self.root + "/", headers={
            "If-None-Match": answer.headers["ETag"]})
        self.assertEqual((again.status, again.body), (304, b""))

    # ---- keys ----

    def test_a_wrong_key_is_refused_with_a_sentence(self):
        self.come()
        self.browser.type("#key", "bl_" + "x" * 40)
        self.browser.press("Enter")
        self.browser.wait_for(".problem", "Kiln does not know this key")
        self.assertIn("kiln key create", self.browser.text("main"))
        self.assertEqual([c for c in self.browser.complaints() if "401" not in c], [])

    def test_the_key_stays_in_the_tab_and_out_of_urls(self):
        self.sign_in(self.kiln.key())
        self.browser.wait_for("h1", "Builds")
        self.assertEqual(self.browser.run("return localStorage.length + document.cookie.length"), 0)
        asked = self.browser.run("return performance.getEntriesByType('resource').map(e => e.name)")
        self.assertTrue(any("/v0/builds" in url for url in asked), asked)
        self.assertFalse([url for url in asked if "bl_" in url])
        self.load("#/images")  # the same tab: not asked again
        self.browser.wait_for("h1", "Images")
        self.browser.click("#forget")
        self.browser.wait_for("#key")
        self.assertIsNone(self.browser.run("return sessionStorage.getItem('kiln.key')"))

    def test_empty_lists_teach_the_next_command(self):
        self.sign_in(self.kiln.key("void"))
        self.browser.wait_for(".empty", "bl push --type sandbox")
        self.assertIn(f"{self.root}/v0", self.browser.text(".empty"))
        self.show("#/images")
        self.browser.wait_for(".empty", "/v0/images?upload=true")
        self.show("#/templates")
        self.browser.wait_for(".empty", "/v0/volume_templates?upload=true")
        self.show("#/builds/nosuch")
        self.browser.wait_for("h1", "There is no such build")
        self.assertEqual([c for c in self.browser.complaints() if "404" not in c], [])
        self.show("#/what/ever")
        self.browser.wait_for("h1", "There is nothing at this address")

    # ---- builds ----

    def asked(self, path):
        """The URLs with that path that the page has had answers from."""
        return self.browser.run("return performance.getEntriesByType('resource').map(e => e.name)"
                                ".filter(name => name.includes(arguments[0]))", path)

    def test_a_build_is_watched_while_it_runs(self):
        self.sign_in(self.kiln.key())
        type(self).gated_build = build = self.push("gated", {"Dockerfile": GATED, "data": "1"})
        self.browser.wait_for("tbody", "gated")
        self.browser.click(f"a[href='#/builds/{build}']")
        gate = self.gate()
        self.addCleanup(lambda: open(os.path.join(gate, "go"), "w").close())
        self.browser.wait_for(".steps li.done .name", "RUN echo said by the first")
        self.browser.wait_for(".steps li.running .name", "RUN --mount=type=cache")
        self.browser.wait_for(".build-head .badge", "Running")
        self.browser.wait_for(".log", HOSTILE)
        self.browser.wait_for(".log", "red text")
        self.browser.wait_for(".steps .why", "not cached: not built before")
        self.assertEqual(self.browser.run("return document.querySelectorAll('main img').length"), 0)
        self.assertNotIn("said by the last", self.browser.text(".log"))
        place = self.browser.run("return document.querySelector('.log').getBoundingClientRect().top")

        self.browser.run("performance.clearResourceTimings()")
        wait_until("the status was asked for", lambda: len(self.asked(f"/v0/builds/{build}")) > 4)
        self.assertEqual(self.asked("/build-logs"), [], "the log is followed, not asked for")
        open(os.path.join(gate, "go"), "w").close()
        self.browser.wait_for(".build-head .badge", "Succeeded", 300)
        self.browser.wait_for(".log", "said by the last")
        self.assertTrue(any("follow=true" in url for url in self.asked("/build-logs")))
        self.browser.wait_for(".earlier", "earlier lines not shown here")
        self.assertEqual(place, self.browser.run(
            "return document.querySelector('.log').getBoundingClientRect().top"), "the log moved")
        shown, count = self.browser.run(
            "return [document.querySelectorAll('.line').length, "
            "document.querySelector('.log-head .dim').textContent]")
        self.assertLessEqual(shown, 2000)
        self.assertGreater(int(re.match(r"([\d,]+) lines", count)[1].replace(",", "")), LINES)
        bars = self.browser.run("return [...document.querySelectorAll('.steps rect')].map(r => "
                                "[+r.getAttribute('x'), +r.getAttribute('width')])")
        self.assertGreater(len(bars), 5)
        self.assertTrue(all(0 <= x and x + width <= 1000.2 for x, width in bars), bars)

        with self.subTest("the log of one step, by keyboard, and of one word"):
            self.browser.run("[...document.querySelectorAll('.steps button')].find(b => "
                             "b.textContent.includes('said by the last')).focus()")
            self.browser.press("Enter")
            self.browser.wait_for(".steps button[aria-pressed=true]", "said by the last")
            wait_until("its lines are there alone", lambda: len(self.browser.texts(".line")) == 3)
            self.browser.press("Space")
            self.browser.type("input[type=search]", "LINE 4321 of")
            wait_until("one line is found", lambda: [
                t.split()[-4:] for t in self.browser.texts(".line")] == [
                    ["line", "4321", "of", "many"]])

        with self.subTest("what is found in the cache, why the rest is not, and no log is followed"):
            self.browser.run("const real = fetch; window.fetch = (url, ...more) => "
                             "url.includes('follow=true') ? new Promise((_, fail) => "
                             "more[0].signal.addEventListener('abort', () => fail(new "
                             "DOMException('', 'AbortError')))) : real(url, ...more)")
            again = self.push("gated", {"Dockerfile": GATED, "data": "2"})
            self.show(f"#/builds/{again}")
            self.browser.wait_for(".build-head .badge", "Succeeded", 300)
            self.assertEqual(len(self.browser.texts(".steps li.cached")), 2)
            self.browser.wait_for(".log", "said by the last")
            self.browser.wait_for(".steps .why", "not cached: data changed")

        with self.subTest("the log of the build before is still its own"):
            self.show(f"#/builds/{build}")
            self.browser.wait_for(".log", "said by the last")
            self.browser.wait_for(".steps .why", "not cached: not built before")

    def test_a_failed_build_says_why(self):
        build = self.push("broken", {"Dockerfile": BROKEN})
        self.sign_in(self.kiln.key(), f"#/builds/{build}")
        self.browser.wait_for(".failure", "exit code 42", 300)
        said = self.browser.text(".failure")
        for part in ("Failed at [3/3] RUN echo", "Dockerfile:3", "3 | >>> RUN echo",
                     "cannot find the module left-pad", "push again"):
            self.assertIn(part, said)
        self.assertEqual(len(self.browser.texts(".steps li.failed")), 1)
        self.assertEqual(self.browser.run("return document.title"), "broken failed · Kiln")
        self.show("#/builds")
        self.browser.wait_for(".badge.failed", "Failed")

    # ---- images and templates ----

    def test_images_show_tags_sizes_and_shares(self):
        build = self.kiln.get(f"/builds/{self.gated()}").json
        shared = http_request("POST", f"{self.root}/v0/images/agent/gated/share",
                              json.dumps({"targetWorkspace": "staging"}), {
                                  "Authorization": f"Bearer {self.admin}",
                                  "X-Blaxel-Workspace": "acme"})
        self.assertEqual(shared.status, 200, shared)
        self.sign_in(self.kiln.key(), "#/images")
        self.browser.wait_for("tbody", "with staging")
        self.assertIn("agent/gated", self.browser.text("tbody"))
        self.browser.click("a[href='#/images/agent/gated']")
        self.browser.wait_for("dl", "With staging")
        tags = self.browser.text("tbody")
        self.assertIn("latest", tags)
        self.assertIn(build["tag"], tags)
        self.assertRegex(tags, r"\d (B|KiB|MiB)")
        self.assertIn(f"podman pull {self.kiln.registry}/acme/agent/gated:latest",
                      self.browser.text(".commands"))

        with self.subTest("a key of the account opens each of its workspaces"):
            self.sign_in(self.admin, "#/images")
            self.browser.wait_for("h1", "Images")
            names = self.browser.run(
                "return [...document.querySelectorAll('#workspace option')].map(o => o.value)")
            self.assertLessEqual({"acme", "staging", "void"}, set(names))
            self.browser.run("const s = document.getElementById('workspace'); s.value = 'staging';"
                             "s.dispatchEvent(new Event('change'))")
            self.browser.wait_for("tbody", "from acme")

    def test_templates_are_drawn_with_what_they_share(self):
        self.pack("deps", {1: 900000, 2: 900000})
        self.pack("deps", {1: 900000, 3: 1500000})
        sharing = self.kiln.get("/volume_templates/deps/sharing").json
        first, second = (v["bytes"] for v in sharing["versions"])
        both = sharing["shared"][0]["bytes"]
        self.assertEqual(sharing["shared"][0]["versions"], ["1", "2"])
        self.assertTrue(900000 <= both < first < second, sharing)

        self.sign_in(self.kiln.key(), "#/templates")
        self.browser.wait_for(".sharing", "shared with v2")
        def drawn():
            return self.browser.run(
                "return [...document.querySelectorAll('.sharing label')].map(l => [...l."
                "querySelectorAll('rect')].map(r => +r.getAttribute('width')))")
        (whole2, part2), (whole1, part1) = drawn()
        self.assertEqual((whole2, part2), (1000, 1000))
        self.assertAlmostEqual(whole1, 1000 * first / second, delta=1)
        self.assertAlmostEqual(part1, 1000 * both / second, delta=1)
        self.browser.run("document.querySelector('.sharing input:checked').focus()")
        self.browser.press("Down")  # the revision before, by keyboard
        self.browser.wait_for(".sharing .picked", "v1")
        self.assertAlmostEqual(drawn()[0][1], 1000 * both / second, delta=1)
        self.assertEqual(self.browser.texts(".card tbody th"), ["v2", "v1"])

    # ---- for everybody ----

    def test_it_fits_narrow_windows_and_can_be_read(self):
        views = [*VIEWS, f"#/builds/{self.gated()}"]
        self.sign_in(self.kiln.key())
        for scheme in ("light", "dark"):
            self.browser.colours(scheme)
            for view in views:
                self.show(view)
                self.browser.wait_for("h1")
                wait_until("it has been asked", lambda: "Asking for" not in self.browser.text("main"))
                for width in (360, 800, 1280):
                    self.browser.resize(width)
                    over = self.browser.run(
                        "const d = document.documentElement; return d.scrollWidth - d.clientWidth")
                    self.assertLessEqual(over, 0, f"{view} at {width} px")
                self.assertEqual(self.browser.run(CONTRAST), [], f"{view}, {scheme}")

    def test_everything_has_a_name_and_a_place_for_the_keyboard(self):
        self.gated()
        for view in ["", *VIEWS, f"#/builds/{self.gated_build}"]:
            if view:
                self.sign_in(self.kiln.key(), view)
            else:
                self.come()
            self.browser.wait_for("h1")
            nodes = self.browser.devtools("Accessibility.getFullAXTree")["nodes"]
            roles = [n.get("role", {}).get("value") for n in nodes if not n.get("ignored")]
            self.assertEqual(roles.count("main"), 1, view)
            self.assertIn("banner", roles)
            nameless = [n["role"]["value"] for n in nodes if not n.get("ignored") and n["role"][
                "value"] in ("button", "link", "textbox", "searchbox", "checkbox", "radio",
                             "combobox", "navigation", "table")
                and not n.get("name", {}).get("value")]
            self.assertEqual(nameless, [], view)
        self.load()
        self.browser.wait_for("nav")
        self.browser.press("Tab")
        self.assertEqual(self.browser.focused(), "Skip to the content")
        self.browser.press("Enter")
        self.assertEqual(self.browser.run("return document.activeElement.id"), "main")

    def test_a_server_that_goes_away_is_told_of_and_comes_back(self):
        self.sign_in(self.kiln.key())
        self.browser.wait_for("h1", "Builds")
        self.browser.devtools("Network.enable")
        def offline(yes):
            self.browser.devtools("Network.emulateNetworkConditions", offline=yes, latency=0,
                                  downloadThroughput=-1, uploadThroughput=-1)
        offline(True)
        self.addCleanup(offline, False)
        self.browser.wait_for("#notice", "Kiln does not answer")
        offline(False)
        wait_until("the notice goes", lambda: self.browser.texts("#notice") == [])
        self.assertEqual([c for c in self.browser.complaints()
                          if "ERR_INTERNET_DISCONNECTED" not in c], [])

    def test_lines_are_shown_as_a_terminal_would_leave_them(self):
        self.load()
        for line, shown in [("a\x1b[1;31mb\x1b[0mc", "abc"), ("10%\r50%\r100%", "100%"),
                            ("100%\r", "100%"), ("\x1b]0;title\x07text", "text"),
                            ("\x1b]8;;http://x\x1b\\link", "link"), ("tab\there", "tab\there"),
                            ("a\x00b\x7f", "a\ufffdb\ufffd"), ("\x1b", ""), ("", "")]:
            self.assertEqual(self.browser.run(
                "return import('/page/text.js').then(m => m.plain(arguments[0]))", line), shown)


if __name__ == "__main__":
    main()
