"""A headless Chromium, spoken to by the WebDriver protocol (W3C) through Debian's chromium-driver."""
import base64
import contextlib
import http.client
import json
import pathlib
import shutil
import tempfile

from kiln_server import Process, free_port, wait_until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of references to elements, by the standard
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Space": "\ue00d", "Down": "\ue015"}
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--disable-extensions", "--window-size=1280,900"]


class Browser:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="kiln-browser-"))
        self.port = free_port()
        self.session = None
        self.driver = Process(["chromedriver", f"--port={self.port}"], self.directory / "log",
                              env={"HOME": str(self.directory), "TMPDIR": str(self.directory)})
        try:
            wait_until("chromedriver is ready", self.is_ready, 120)
            self.session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {
                "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {"args": [
                    *ARGUMENTS, f"--user-data-dir={self.directory / 'profile'}"]}}}})["sessionId"]
        except BaseException:
            self.stop()
            raise

    def is_ready(self):
        if self.driver.popen.poll() is not None:
            raise AssertionError(f"chromedriver ended:\n{self.driver.text()[-2000:]}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("GET", "/status")["ready"]
        return False

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=180)
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(f"{method} {path}: {value['error']}: {value['message'][:600]}")
        return value

    def do(self, method, path, body=None):
        return self.ask(method, f"/session/{self.session}{path}", body)

    def devtools(self, command, **parameters):
        return self.do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, url):
        self.do("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What the function body returns; a promise is waited for."""
        return self.do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def texts(self, selector):
        """Of what can be seen."""
        return self.run("""return [...document.querySelectorAll(arguments[0])]
            .filter(e => e.getClientRects().length).map(e => e.innerText.trim())""", selector)

    def text(self, selector):
        return "\n".join(self.texts(selector))

    def wait_for(self, selector, part="", seconds=120):
        """Until the elements can be seen, and their text has that part."""
        def is_there():
            texts = self.texts(selector)
            return texts and part in "\n".join(texts)

        try:
            wait_until(f"{selector} says {part!r}", is_there, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; the page says:\n{self.text('body')[:3000]}") from None

    def find(self, selector):
        return self.do("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.do("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.do("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, *keys):
        """Keys on whatever has the focus."""
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys
                   for kind in ("keyDown", "keyUp")]
        self.do("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def focused(self):
        return self.run("return document.activeElement.innerText.trim()")

    def resize(self, width, height=900):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=False)

    def colours(self, scheme):
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])

    def complaints(self):
        """What the console was told since this was last asked: errors, CSP violations, failed
        requests."""
        return [entry["message"] for entry in self.do("POST", "/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]

    def picture(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self.do("GET", "/screenshot")))

    def stop(self):
        if self.session:
            with contextlib.suppress(Exception):
                self.do("DELETE", "")
        self.driver.kill_group()
        shutil.rmtree(self.directory, ignore_errors=True)
