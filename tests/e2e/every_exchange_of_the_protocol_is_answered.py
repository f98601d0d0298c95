"""The exchanges of PROTOCOL.md, section by section: requests as they were traced, and every field that
a client reads of the answers.

Other tests replay what has a clock or a real client: bl_push_exchange_ends_in_built (1.2 to 1.5, 1.7,
1.8), an_image_is_imported_by_its_reference (1.6), an_interactive_deploy_sees_building_then_deployed
(2.5), a_template_is_deployed_and_becomes_volumes (2.7), the_documented_curl_script_ends_in_deployed
(2.10), the_typescript_sdk_… (3.1, 8.3), the_python_sdk_builds_and_makes_volumes (3.2, 3.3)."""
import datetime
import io
import json
import re
import urllib.parse
import zipfile

import kiln_server
from kiln_server import KilnCase, WORKSPACE, basic, http_request, wait_until, zip_of
from volume_case import AUTO, tar_of

KINDS = ("sandbox", "agent", "function", "job")
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$"
# 2.2, as bl sends them: the first request of each kind.
BODIES = {
    "sandboxes": {"metadata": {"name": "my-sandbox-1", "labels": AUTO}, "spec": {"runtime": {
        "memory": 2048, "envs": [{"name": "SEC", "value": "1"}, {"name": "APP", "value": "1"}],
        "ports": [{"name": "web", "protocol": "tcp", "target": 3000}]}}},
    "agents": {"metadata": {"name": "ag1", "labels": AUTO}, "spec": {
        "public": True, "region": "us-pdx-1", "runtime": {"memory": 1024, "envs": []},
        "triggers": [{"id": "t1", "configuration": {"path": "agents/x/async", "retry": 1},
                      "type": "http-async"}],
        "volumes": [{"mountPath": "/data", "name": "v1"}]}},
    "functions": {"metadata": {"name": "fn1", "labels": AUTO}, "spec": {"runtime": {"envs": []}}},
    "jobs": {"metadata": {"name": "job1", "labels": AUTO}, "spec": {
        "runtime": {"diskPercent": 50, "maxRetries": 0, "memory": 4096, "timeout": 900, "envs": []},
        "triggers": [{"id": "s", "configuration": {"schedule": "0 * * * *"},
                      "type": "schedule"}]}},
}
DOCKERFILE = 'FROM alpine:3.20\nRUN echo hello\nCMD ["/bin/true"]\n'
FAILING = "FROM alpine:3.20\nRUN echo BAD_RUN >&2; exit 42\n"


def name_of(kind):
    return BODIES[kind]["metadata"]["name"]


def holds(whole, part):
    """Whether all that is in part is in whole, at its place."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and holds(whole[key], value) for key, value in part.items())
    return whole == part


class EveryExchange(KilnCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kiln.run("account", "create", "wheel", "--data-dir", cls.kiln.data)
        for workspace in (WORKSPACE, "staging"):
            cls.kiln.run("workspace", "create", workspace, "--account", "wheel", "--data-dir",
                         cls.kiln.data)
        cls.archive = zip_of({"Dockerfile": DOCKERFILE})
        done = cls.kiln.run("key", "create", "--account", "wheel", "--data-dir", cls.kiln.data)
        cls.admin = {"Authorization": f"Bearer {done.stdout.strip()}"}

    def bl(self, method, path, body=None, headers=(), **more):
        """With the headers of 1.2."""
        return self.kiln.request(method, path, body, headers={
            "User-Agent": "blaxel/cli/golang/v0.1.80 (linux/amd64) blaxel/c47b38a",
            "Accept": "application/json", "X-Stainless-Arch": "x64", "X-Stainless-Lang": "go",
            "X-Stainless-Os": "Linux", "X-Stainless-Package-Version": "0.25.0",
            "X-Stainless-Retry-Count": "0", "X-Stainless-Runtime": "go",
            "X-Stainless-Runtime-Version": "go1.26.10", **dict(headers)}, **more)

    def apply(self, kind, body=None):
        """2.1: the first request of the kind, and its fallback; the answer."""
        body = body or BODIES[kind]
        name = body["metadata"]["name"]
        if kind == "sandboxes":
            answer = self.bl("POST", f"/{kind}?upload=true", body)
            if answer.status == 409:
                self.assertEqual(answer.headers["x-should-retry"], "false", "2.3")
                answer = self.bl("PUT", f"/{kind}/{name}?upload=true", body)
        else:
            answer = self.bl("PUT", f"/{kind}/{name}?upload=true", body)
            if answer.status in (404, 405):
                answer = self.bl("POST", f"/{kind}?upload=true", body)
        self.assertIn(answer.status, (200, 201), answer)
        self.assertEqual(answer.headers.get_content_type(), "application/json")
        return answer

    def upload(self, answer, archive=None, content_type="application/zip", headers=()):
        done = http_request("PUT", answer.headers["X-Blaxel-Upload-Url"],
                            self.archive if archive is None else archive,
                            {"User-Agent": "Go-http-client/1.1", "Content-Type": content_type,
                             "Accept-Encoding": "gzip", **dict(headers)})
        self.assertEqual(done.status, 200, "exactly")

    def end_of(self, path, field=lambda o: o["status"], final=("DEPLOYED", "FAILED")):
        return wait_until(f"{path} has ended", lambda: (
            lambda o: o if field(o) in final else None)(self.kiln.get(path).json), 240)

    def deployed(self, kind):
        """The resource of that kind, built once for all sections."""
        name = name_of(kind)
        got = self.kiln.get(f"/{kind}/{name}")
        if got.status == 404 or got.json["status"] != "DEPLOYED":
            self.upload(self.apply(kind))
            got = self.end_of(f"/{kind}/{name}")
            self.assertEqual(got["status"], "DEPLOYED", self.kiln.log_lines(name, kind))
            return got
        return got.json

    def check_error(self, answer, status, **fields):
        """6.2, rule 6."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers.get_content_type(), "application/json")
        self.assertIs(type(answer.json["code"]), int)
        self.assertEqual(answer.json["code"], status)
        for field in ("error", "message"):
            self.assertIs(type(answer.json[field]), str)
        self.assertTrue(holds(answer.json, fields), answer)

    def check_metadata(self, metadata, name):
        self.assertEqual((metadata["name"], metadata["workspace"]), (name, WORKSPACE))
        for field in ("createdAt", "updatedAt"):
            self.assertRegex(metadata[field], TIME)

    # ---- 1: bl push ----

    def test_1_9_labels_of_an_image_and_headers_of_its_upload(self):
        labels = {"x-blaxel-builder": "sandbox", "x-blaxel-build-memory": "2048",
                  "x-blaxel-build-volume": "0", "x-blaxel-build-region": "us-pdx-1"}
        answer = self.bl("POST", "/images?upload=true", {
            "name": "labelled", "resourceType": "sandbox", "generation": "mk3", "labels": labels})
        self.assertEqual(answer.status, 200, answer)
        self.upload(answer, headers={f"x-amz-meta-{k}": v for k, v in labels.items()})
        image = self.end_of("/images/sandbox/labelled", lambda i: i["metadata"]["status"],
                            ("BUILT", "FAILED"))
        self.assertEqual(image["metadata"]["status"], "BUILT", self.kiln.log_lines("labelled"))

    def test_1_2_an_empty_archive_fails_with_a_reason(self):
        """1.8: an empty archive may come."""
        out = io.BytesIO()
        zipfile.ZipFile(out, "w").close()
        self.upload(self.bl("POST", "/images?upload=true",
                            {"name": "empty", "resourceType": "sandbox"}), out.getvalue())
        image = self.end_of("/images/sandbox/empty", lambda i: i["metadata"]["status"],
                            ("BUILT", "FAILED"))
        self.assertEqual(image["metadata"]["status"], "FAILED")
        failed = [e for e in image["metadata"]["events"] if e["type"].endswith(".failed")]
        self.assertTrue(failed[-1]["message"])

    def test_1_5_errors_of_a_push_are_told_as_json(self):
        for body in ({"name": "x", "resourceType": "zebra"}, {"resourceType": "sandbox"},
                     {"name": "Not_A_Name", "resourceType": "sandbox"}):
            self.check_error(self.bl("POST", "/images?upload=true", body), 400)

    # ---- 2: bl deploy and the others ----

    def test_2_1_what_a_deploy_asks_for_and_is_given(self):
        for kind, body in BODIES.items():
            with self.subTest(kind):
                resource = self.deployed(kind)
                name = name_of(kind)
                self.check_metadata(resource["metadata"], name)
                self.assertTrue(holds(resource["metadata"]["labels"], AUTO))
                self.assertTrue(holds(resource["spec"], {
                    k: v for k, v in body["spec"].items() if k not in ("triggers", "runtime")}))
                self.assertTrue(holds(resource["spec"]["runtime"], body["spec"]["runtime"]))
                for sent, got in zip(body["spec"].get("triggers", ()),
                                     resource["spec"].get("triggers", ())):
                    self.assertTrue(holds(got, sent), got)
                self.assertTrue(resource["metadata"]["url"])
                singular = KINDS[list(BODIES).index(kind)]
                self.assertRegex(resource["spec"]["runtime"]["image"],
                                 rf"^{singular}/{name}:[a-z0-9]{{12}}$", "6.2, rule 4")

    def test_2_1_what_is_asked_before(self):
        for kind in ("models", "functions"):
            answer = self.bl("GET", f"/{kind}?limit=200")
            self.assertEqual(answer.status, 200)
            self.assertIs(type(answer.json["data"]), list)

    def test_2_3_a_sandbox_that_is_there_is_a_conflict_not_to_be_retried(self):
        self.deployed("sandboxes")
        answer = self.bl("POST", "/sandboxes?upload=true", BODIES["sandboxes"])
        self.assertEqual(answer.status, 409)
        self.assertEqual(answer.headers["x-should-retry"], "false")
        self.assertEqual(self.kiln.get("/sandboxes/my-sandbox-1").json["status"], "DEPLOYED",
                         "it began no build")

    def test_2_4_the_status_right_after_the_upload(self):
        body = {"metadata": {"name": "soon", "labels": AUTO}, "spec": {"runtime": {"envs": []}}}
        self.upload(self.apply("functions", body))
        resource = self.bl("GET", "/functions/soon").json
        self.assertIn(resource["status"], ("UPLOADING", "BUILDING"))
        self.assertTrue(resource["metadata"]["url"])
        self.end_of("/functions/soon")

    def test_2_6_skip_build_takes_the_image_that_was_built(self):
        self.check_error(self.bl("GET", "/functions/never"), 404)
        image = self.deployed("functions")["spec"]["runtime"]["image"]
        body = {"metadata": {"name": "fn1", "labels": {}},
                "spec": {"runtime": {"image": image, "envs": []}}}
        answer = self.bl("PUT", "/functions/fn1", body)
        self.assertEqual(answer.status, 200, answer)
        self.assertIsNone(answer.headers["X-Blaxel-Upload-Url"])
        self.assertEqual(self.end_of("/functions/fn1")["spec"]["runtime"]["image"], image)

    def test_2_6_an_image_and_skip_build(self):
        image = self.deployed("sandboxes")["spec"]["runtime"]["image"]
        answer = self.bl("POST", "/sandboxes", {
            "metadata": {"name": "standing", "labels": {}},
            "spec": {"runtime": {"image": image, "skipBuild": "true"}}})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.end_of("/sandboxes/standing")["spec"]["runtime"]["image"], image)
        self.assertEqual(self.bl("DELETE", "/sandboxes/standing").status, 200)

    def test_2_8_images_as_bl_reads_them(self):
        self.deployed("sandboxes")
        images = self.bl("GET", "/images").json
        self.assertIs(type(images), list, "bare")
        image = next(i for i in images if i["metadata"]["name"] == "my-sandbox-1")
        self.assertEqual(image, self.bl("GET", "/images/sandbox/my-sandbox-1").json)
        self.check_metadata(image["metadata"], "my-sandbox-1")
        self.assertEqual(image["metadata"]["resourceType"], "sandbox")
        self.assertRegex(image["metadata"]["lastDeployedAt"], TIME)
        self.assertIs(type(image["spec"]["size"]), int)
        tags = image["spec"]["tags"]
        self.assertIn("latest", [t["name"] for t in tags])
        for tag in tags:
            self.assertGreater(tag["size"], 0)
            self.assertRegex(tag["createdAt"], TIME)
            self.assertRegex(tag["updatedAt"], TIME)
        self.check_error(self.bl("GET", "/images/sandbox/none"), 404, error="image not found")

    def test_2_8_an_image_or_a_tag_is_deleted(self):
        tags = []
        for text in ("one", "two"):
            self.upload(self.bl("POST", "/images?upload=true",
                                {"name": "gone", "resourceType": "job"}),
                        zip_of({"Dockerfile": DOCKERFILE + f"RUN echo {text}\n"}))
            image = self.end_of("/images/job/gone", lambda i: i["metadata"]["status"],
                                ("BUILT", "FAILED"))
            tags.append(next(t["name"] for t in image["spec"]["tags"]
                             if t["name"] not in (*tags, "latest")))
        self.assertEqual(self.bl("DELETE", f"/images/job/gone:{tags[0]}").status, 200)
        self.check_error(self.bl("DELETE", f"/images/job/gone:{tags[0]}"), 404)
        self.assertEqual(self.bl("DELETE", f"/images/job/gone/tags/{tags[1]}").status, 200)
        self.assertEqual(self.bl("DELETE", "/images/job/gone").status, 200)
        self.check_error(self.bl("GET", "/images/job/gone"), 404, error="image not found")

    def test_2_8_an_image_is_shared_and_unshared(self):
        self.deployed("jobs")
        share = "/images/job/job1/share"

        def bl(*words):  # for who is admin of both workspaces
            return self.bl(*words, headers=self.admin)

        answer = bl("POST", share, {"targetWorkspace": "staging"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["metadata"]["name"], "job1", "an Image")
        target, = bl("GET", share).json
        self.assertTrue(holds(target, {"workspace": "staging", "status": "active"}), target)
        self.assertTrue(target["accountId"])
        theirs = self.bl("GET", "/images/job/job1", workspace="staging").json
        self.assertEqual(theirs["metadata"]["sourceWorkspace"], WORKSPACE)
        self.assertIn("job1", [i["metadata"]["name"] for i in
                               self.bl("GET", "/images", workspace="staging").json])
        self.check_error(self.bl("DELETE", "/images/job/job1"), 409)
        self.check_error(bl("POST", share, {"targetWorkspace": "staging"}), 409)
        self.check_error(bl("POST", share, {"targetWorkspace": "nowhere"}), 404)
        answer = bl("DELETE", f"{share}/staging")
        self.assertEqual((answer.status, answer.json["metadata"]["name"]), (200, "job1"))
        self.check_error(bl("DELETE", f"{share}/staging"), 404)
        self.check_error(self.bl("GET", "/images/job/job1", workspace="staging"), 404)
        self.assertEqual(self.bl("GET", "/pending-image-shares?direction=incoming").status, 200)

    def test_2_8_volume_templates_as_bl_reads_them(self):
        body = {"metadata": {"name": "mytemplate", "labels": AUTO}, "spec": {"defaultSize": 2048}}
        folder = self.kiln.directory / "template"
        folder.mkdir()
        (folder / "a.txt").write_text("alpha\n")
        answer = self.apply("volume_templates", body)
        self.upload(answer, tar_of(folder), "application/x-tar")
        template = wait_until("the template is ready", lambda: (
            lambda t: t if t["state"]["status"] == "ready" else None)(
                self.bl("GET", "/volume_templates/mytemplate").json))
        self.check_metadata(template["metadata"], "mytemplate")
        self.assertEqual(template["spec"]["defaultSize"], 2048)
        self.assertTrue(holds(template["state"], {"latestVersion": "1", "versionCount": 1}))
        self.assertRegex(template["state"]["lastVersionUploadedAt"], TIME)
        version, = template["versions"]
        self.assertTrue(holds(version, {"templateName": "mytemplate", "status": "READY",
                                        "workspace": WORKSPACE}), version)
        wait_until("the list, a bare array, shows the same", lambda: [self.bl(
            "GET", "/volume_templates/mytemplate").json] == self.bl(
                "GET", "/volume_templates").json)  # its last event may come in between
        self.check_error(self.bl("DELETE", "/volume_templates/mytemplate/versions/1"), 400)
        self.check_error(self.bl("DELETE", "/volume_templates/mytemplate/versions/7"), 404)
        with self.subTest("3.3: a volume of it"):
            body = {"metadata": {"name": "vol1", "displayName": "vol1"}, "spec": {
                "size": 1024, "region": "us-pdx-1", "template": "mytemplate:latest"}}
            answer = self.bl("POST", "/volumes", body)
            self.assertEqual(answer.status, 200, answer)
            self.assertTrue(holds(answer.json["spec"], {**body["spec"], "size": 2048}),
                            f"the SDK always sends 1024, the template asks for more: {answer}")
            self.assertEqual(answer.json["metadata"]["displayName"], "vol1")
            self.assertIs(type(answer.json["events"]), list)
            self.check_error(self.bl("POST", "/volumes", body), 409, error="VOLUME_ALREADY_EXISTS")
            self.assertEqual(self.end_of("/volumes/vol1")["status"], "DEPLOYED")
            self.assertEqual(self.bl("DELETE", "/volumes/vol1").status, 200)
        self.assertEqual(self.bl("DELETE", "/volume_templates/mytemplate").status, 200)
        self.check_error(self.bl("GET", "/volume_templates/mytemplate"), 404)

    def test_2_8_resources_are_listed_shown_and_deleted(self):
        self.deployed("sandboxes")
        answer = self.bl("GET", "/sandboxes?limit=200").json
        self.assertEqual(sorted(answer), ["data", "meta"])
        self.assertEqual({k: type(v) for k, v in answer["meta"].items()},
                         {"hasMore": bool, "nextCursor": str, "total": int})
        self.assertIn("my-sandbox-1", [s["metadata"]["name"] for s in answer["data"]])
        body = {"metadata": {"name": "short"}, "spec": {"runtime": {"memory": 1024}}}
        self.assertEqual(self.bl("POST", "/sandboxes?upload=true", body).status, 200)
        self.assertEqual(self.bl("DELETE", "/sandboxes/short").status, 200)
        self.check_error(self.bl("GET", "/sandboxes/short"), 404)

    def test_2_8_logs_as_bl_asks_for_them(self):
        self.deployed("agents")
        now = datetime.datetime.now(datetime.timezone.utc)
        query = {"start": (now - datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S"),
                 "end": now.strftime("%Y-%m-%dT%H:%M:%S"), "resourceType": "agents",
                 "workloadIds": "ag1", "workspace": WORKSPACE, "type": "all",
                 "severity": "FATAL,ERROR,WARNING,INFO,DEBUG,TRACE,UNKNOWN", "limit": 1000,
                 "offset": 0, "interval": 60, "traceId": "", "search": "", "taskId": "",
                 "executionId": ""}
        answer = self.bl("GET", "/observability/logs?" + urllib.parse.urlencode(query))
        self.assertEqual(answer.status, 200, answer)
        logs = answer.json["ag1"]
        self.assertEqual(logs["totalCount"], len(logs["logs"]))
        times = [line["timestamp"] for line in logs["logs"]]
        self.assertEqual(times, sorted(times, reverse=True), "newest first")
        self.assertEqual(len({(line["timestamp"], line["message"]) for line in logs["logs"]}),
                         len(times), "1.4: what is told twice is thrown away")
        for line in logs["logs"]:
            self.assertRegex(line["timestamp"], TIME)
            self.assertEqual((type(line["message"]), type(line["severity"]),
                              type(line["trace_id"])), (str, int, str))
        query.update(workloadIds="nobody")
        answer = self.bl("GET", "/observability/logs?" + urllib.parse.urlencode(query))
        self.assertEqual((answer.status, answer.json["nobody"]["logs"]), (200, []))

    def test_2_9_sandbox_api_posts_first_and_then_puts(self):
        body = {"metadata": {"name": "inner", "labels": AUTO}, "spec": {"runtime": {"envs": []}}}
        for first in (True, False):
            answer = self.bl("POST", "/jobs?upload=true", body)
            if not first:
                self.assertGreaterEqual(answer.status, 400)
                answer = self.bl("PUT", "/jobs/inner?upload=true", body)
            self.assertEqual(answer.status, 200, answer)
            z = io.BytesIO()
            with zipfile.ZipFile(z, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("Dockerfile", DOCKERFILE + "COPY link /link\n")
                entry = zipfile.ZipInfo("link")  # a symlink's mode, its target's content
                entry.external_attr = 0o120777 << 16
                archive.writestr(entry, "content of the target\n" + "x" * 5000)
            self.upload(answer, z.getvalue())
            query = urllib.parse.urlencode({
                "start": "2026-01-01T00:00:00", "end": "2026-01-01T00:15:00",
                "resourceType": "jobs", "workloadIds": "inner", "type": "all", "limit": 1000,
                "severity": "all", "workspace": WORKSPACE})
            self.assertIn("inner", self.bl("GET", f"/observability/logs?{query}").json)
            self.assertEqual(self.end_of("/jobs/inner")["status"], "DEPLOYED",
                             self.kiln.log_lines("inner", "jobs"))

    # ---- 3 and 4: SDKs, keys, versions ----

    def test_3_4_a_sandbox_stands_on_an_image(self):
        self.deployed("sandboxes")
        for image in ("sandbox/my-sandbox-1:latest", "blaxel/base-image:latest"):
            answer = self.bl("POST", "/sandboxes", {
                "metadata": {"name": "on-image"}, "spec": {"runtime": {"image": image}}})
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json["spec"]["runtime"]["image"], image)
            self.assertEqual(self.bl("DELETE", "/sandboxes/on-image").status, 200)

    def test_4_2_a_key_in_either_header_and_client_credentials(self):
        url, key = f"{self.kiln.url}/images", self.kiln.key()
        for name in ("Authorization", "X-Blaxel-Authorization"):
            for where in ({"X-Blaxel-Workspace": WORKSPACE}, {}):
                self.assertEqual(http_request("GET", url, headers={
                    name: f"Bearer {key}", **where}).status, 200)
            self.assertEqual(http_request("GET", f"{url}?workspace={WORKSPACE}", headers={
                name: f"Bearer {key}"}).status, 200)
        self.check_error(http_request("GET", url), 401)
        self.check_error(http_request("GET", url, headers={"Authorization": "Bearer no"}), 401)
        self.assertEqual(self.bl("GET", f"/workspaces/{WORKSPACE}").status, 200, "bl login")
        made = self.bl("POST", "/service_accounts", {"name": "ci", "role": "member"}).json
        token = http_request("POST", f"{self.kiln.url}/oauth/token",
                             json.dumps({"grant_type": "client_credentials"}).encode(),
                             {"Authorization": basic(made["client_id"], made["client_secret"]),
                              "Content-Type": "application/json"})
        self.assertEqual(token.status, 200, token)
        self.assertEqual(token.json["expires_in"], 7200)
        self.assertEqual(http_request("GET", url, headers={
            "X-Blaxel-Authorization": f"Bearer {token.json['access_token']}",
            "X-Blaxel-Workspace": WORKSPACE}).status, 200)

    def test_4_2_versions(self):
        for version, enveloped in (("2026-04-16", False), ("2026-04-28", True), (None, False)):
            headers = {"Blaxel-Version": version} if version else {}
            for kind in ("agents", "functions", "jobs", "sandboxes", "volumes", "images",
                         "volume_templates"):
                got = http_request("GET", f"{self.kiln.url}/{kind}", headers={
                    "Authorization": f"Bearer {self.kiln.key()}", **headers})
                bare = not enveloped or kind in ("images", "volume_templates")
                self.assertIs(type(got.json), list if bare else dict, (version, kind))
        self.check_error(self.kiln.get("/jobs", headers={"Blaxel-Version": "1999-01-01"}), 400,
                         error="invalid_api_version")

    # ---- 5 and 6: fields, states, events, errors ----

    def test_5_what_clients_send_is_kept(self):
        spec = {"enabled": True, "network": {"a": 1}, "lifecycle": {"b": [2]}, "unknown": {"c": 3},
                "runtime": {"memory": 512, "ttl": "1h", "extraArgs": {"x": "y"},
                            "envs": [{"name": "A", "value": "b", "secret": True}],
                            "image": "blaxel/base-image:latest"}}
        body = {"metadata": {"name": "kept", "displayName": "Kept", "externalId": "e1",
                             "labels": {"team": "a"}}, "spec": spec}
        self.assertEqual(self.bl("POST", "/sandboxes", body).status, 200)
        got = self.bl("GET", "/sandboxes/kept").json
        self.assertTrue(holds(got["spec"], {k: v for k, v in spec.items() if k != "runtime"}), got)
        self.assertTrue(holds(got["metadata"], body["metadata"]), got)
        self.assertTrue(holds(got["spec"]["runtime"], {
            k: v for k, v in spec["runtime"].items() if k != "envs"}), got)
        self.assertEqual(self.bl("DELETE", "/sandboxes/kept").status, 200)

    def test_6_1_a_rebuild_begins_at_uploading_and_a_failed_one_keeps_the_image(self):
        image = self.deployed("functions")["spec"]["runtime"]["image"]
        answer = self.apply("functions")
        self.assertEqual(answer.json["status"], "UPLOADING")
        self.assertEqual(self.kiln.get("/functions/fn1").json["status"], "UPLOADING")
        again = self.apply("functions")
        self.assertNotEqual(answer.headers["X-Blaxel-Upload-Url"],
                            again.headers["X-Blaxel-Upload-Url"], "6.2, rule 5")
        self.upload(again, zip_of({"Dockerfile": FAILING}))
        failed = self.end_of("/functions/fn1")
        self.assertEqual(failed["status"], "FAILED")
        self.assertEqual(failed["spec"]["runtime"]["image"], image)
        with self.subTest("6.3: its event tells the end of the log as bl reads it"):
            event = [e for e in failed["events"] if e["type"].endswith(".buildimage.failed")][-1]
            self.assertEqual(event["status"], "FAILED")
            for pattern in (r"(?m)^Dockerfile:\d+", r"(?m)^\s*\d+\s*\|\s*>>>\s*(.+)$",
                            r"exit code[: ]+([0-9]+)",
                            r"(?m)^(?:#[0-9]+ ERROR: |error: failed to solve: )(.+)$"):
                self.assertRegex(event["message"], pattern)
            self.assertEqual(re.findall(r"exit code[: ]+([0-9]+)", event["message"])[-1], "42")

    def test_6_3_events_of_a_build_and_its_deployment(self):
        for kind in BODIES:
            events = self.deployed(kind)["events"]
            kinds = [e["type"].removeprefix("ai.blaxel.controlplane.") for e in events]
            for wanted in ("buildimage.created", "buildimage.succeeded", "deployment.succeeded"):
                self.assertIn(wanted, kinds)
            for event in events:
                self.assertRegex(event["time"], TIME)
                self.assertTrue(event["type"].startswith("ai.blaxel.controlplane."))
                self.assertEqual((type(event["message"]), type(event["status"])), (str, str))
            deployed = [e for e in events if e["type"].endswith(".deployment.succeeded")][-1]
            self.assertTrue(holds(deployed, {
                "status": "DEPLOYED", "message": "Deployments successfully done"}), deployed)
            self.assertTrue(deployed["revision"])

    def test_6_4_errors_have_the_form_that_bl_prints(self):
        bad = {"metadata": {"name": "UPPER"}, "spec": {"runtime": {}}}
        for kind in ("agents", "functions", "jobs"):
            self.check_error(self.bl("POST", f"/{kind}?upload=true", bad), 400)
        answer = self.bl("POST", "/sandboxes", {"metadata": {"name": "bad"}, "spec": {
            "runtime": {"image": "docker.io/NO"}}})
        self.assertEqual((answer.status, answer.json["code"], answer.json["status_code"]),
                         (400, "INVALID_IMAGE", 400), "5: SandboxError")
        self.assertIs(type(answer.json["message"]), str)


if __name__ == "__main__":
    kiln_server.main()
