"""The SBOM and the provenance of an image: by the API, by the command, and from the registry, as any
client of the distribution specification finds them there.

The SBOM is validated by spdx-tools, the SPDX project's own library for Python, which is installed
from PyPI and kept."""
import hashlib
import json
import subprocess
import sys
import unittest

import kiln_server
from kiln_server import KilnCase, http_request, wait_until, zip_of

SPDX = "application/spdx+json"
TOTO = "application/vnd.in-toto+json"
INDEX = "application/vnd.oci.image.index.v1+json"

DPKG = """Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Description: GNU shell
 Version: 9 is no field here

Package: gone
Status: deinstall ok config-files
Version: 1

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9
"""
# By rpm itself; the first line is the corpus' own.
RPM = (kiln_server.SOURCE / "tests/builder/corpus_packages/rpm_ndb").read_bytes()[len("rpm\n"):]
FILES = {
    "root/usr/lib/sysimage/rpm/Packages.db": RPM,
    "root/var/lib/dpkg/status": DPKG,
    "root/var/lib/dpkg/status.d/tz": "Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n",
    "root/usr/lib/python3/Py_Yaml-6.0.dist-info/METADATA":
        "Metadata-Version: 2.1\nName: Py_Yaml\nVersion: 6.0\nLicense: MIT\n\nVersion: 7\n",
    "root/srv/node_modules/left-pad/package.json":
        json.dumps({"name": "left-pad", "version": "1.3.0", "license": "WTFPL"}),
    "root/srv/node_modules/@scope/x/package.json":
        json.dumps({"name": "@scope/x", "version": "2.0.0"}),
    "root/srv/node_modules/left-pad/test/package.json": json.dumps({"name": "no", "version": "1"}),
    "root/srv/package.json": json.dumps({"name": "app", "version": "1"}),
    "root/srv/node_modules/removed/package.json": json.dumps({"name": "removed", "version": "1"}),
    "root/opt/node_modules/hidden/package.json": json.dumps({"name": "hidden", "version": "1"}),
    "app.txt": "one\n",
    "Dockerfile": "FROM debian:bookworm-slim AS other\nCOPY root /\n"
                  "FROM debian:bookworm-slim\nARG TOKEN\nCOPY root /\n"
                  "RUN rm -r /srv/node_modules/removed && rm -r /opt && mkdir /opt\n"
                  "RUN mkdir -p /lib/apk/db && printf 'P:musl\\nV:1.2.5-r0\\nA:x86_64\\nL:MIT\\n\\n'"
                  " >/lib/apk/db/installed\nCOPY app.txt /srv/\n",
    ".env.build": "TOKEN=never-to-be-told\n",
}
EXPECTED = {
    "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12",
    "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12",
    "pkg:deb/debian/tzdata@2024a-0?arch=all&distro=debian-12",
    "pkg:rpm/debian/alpha@1.2.3-4?arch=x86_64&distro=debian-12&epoch=2",
    "pkg:rpm/debian/alpha-two@9-4?arch=noarch&distro=debian-12&epoch=2",
    "pkg:apk/debian/musl@1.2.5-r0?arch=x86_64&distro=debian-12",
    "pkg:pypi/py-yaml@6.0",
    "pkg:npm/left-pad@1.3.0",
    "pkg:npm/%40scope/x@2.0.0",
}


def purls(sbom):
    return {r["referenceLocator"] for p in sbom["packages"] for r in p["externalRefs"]
            if p["SPDXID"] != "SPDXRef-Image"}


def problems_of(path):
    """What the SPDX project's validator says of a file."""
    done = subprocess.run(
        [sys.executable, "-c",
         "import sys; from spdx_tools.spdx.parser.parse_anything import parse_file\n"
         "from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document\n"
         "for m in validate_full_spdx_document(parse_file(sys.argv[1])): print(m)", path],
        env={"PYTHONPATH": str(kiln_server.from_pypi("spdx-tools==0.8.5")), "PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True)
    return done.stdout + (done.stderr if done.returncode else "")


class Attestations(KilnCase):
    def deploy(self, name, files):
        """Until it is done: whoever asks by the API is told some seconds later."""
        ended = f"{kiln_server.WORKSPACE}/sandbox/{name}: succeeded"
        before = self.kiln.serve.text().count(ended)
        self.kiln.submit(name, zip_of(files))
        wait_until(ended, lambda: self.kiln.serve.text().count(ended) > before, 180)

    def attested(self, name, what):
        answer = self.kiln.get(f"/images/sandbox/{name}/{what}")
        self.assertEqual(answer.status, 200, answer)
        return answer

    def referrers(self, name):
        """By the tag schema: docker-registry has no API for it."""
        digest = self.kiln.manifest(name).headers["Docker-Content-Digest"]
        answer = self.kiln.pull("manifests/" + digest.replace(":", "-"), name,
                                headers={"Accept": INDEX})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["mediaType"], INDEX)
        return digest, {m["artifactType"]: m for m in answer.json["manifests"]}

    def artifact(self, name, subject, descriptor):
        """The blob of what is attached, each step by its digest."""
        answer = self.kiln.manifest(name, descriptor["digest"])
        self.assertEqual("sha256:" + hashlib.sha256(answer.body).hexdigest(), descriptor["digest"])
        manifest = answer.json
        self.assertEqual(manifest["subject"]["digest"], subject)
        self.assertEqual(manifest["artifactType"], descriptor["artifactType"])
        self.assertEqual(self.kiln.blob(name, manifest["config"]["digest"]), b"{}")
        return self.kiln.blob(name, manifest["layers"][0]["digest"])

    def test_what_is_in_an_image_is_told_and_attached(self):
        self.deploy("told", FILES)
        answer = self.attested("told", "sbom")
        self.assertEqual(answer.headers["Content-Type"], SPDX)
        self.assertEqual(purls(answer.json), EXPECTED)
        subject, attached = self.referrers("told")
        self.assertEqual(set(attached), {SPDX, TOTO})
        self.assertEqual(self.artifact("told", subject, attached[SPDX]), answer.body)
        image = next(p for p in answer.json["packages"] if p["SPDXID"] == "SPDXRef-Image")
        self.assertEqual("sha256:" + image["checksums"][0]["checksumValue"], subject)

        path = self.kiln.directory / "told.spdx.json"
        path.write_bytes(answer.body)
        self.assertEqual(problems_of(path), "")
        broken = answer.json
        broken["relationships"][1]["relatedSpdxElement"] = "SPDXRef-Nobody"
        path.write_text(json.dumps(broken))
        self.assertIn("SPDXRef-Nobody", problems_of(path), "the validator sees what is wrong")

        # one file changes: the same packages, of another image
        self.deploy("told", {**FILES, "app.txt": "two\n"})
        self.assertEqual(purls(self.attested("told", "sbom").json), EXPECTED)
        self.assertNotEqual(self.referrers("told")[0], subject)

    def test_how_an_image_was_made_is_told_and_attached(self):
        self.deploy("made", FILES)
        answer = self.attested("made", "provenance")
        self.assertEqual(answer.headers["Content-Type"], TOTO)
        self.assertNotIn(b"never-to-be-told", answer.body)
        subject, attached = self.referrers("made")
        self.assertEqual(self.artifact("made", subject, attached[TOTO]), answer.body)
        statement = answer.json
        self.assertEqual(statement["_type"], "https://in-toto.io/Statement/v1")
        self.assertEqual(statement["predicateType"], "https://slsa.dev/provenance/v1")
        self.assertEqual("sha256:" + statement["subject"][0]["digest"]["sha256"], subject)
        definition = statement["predicate"]["buildDefinition"]
        self.assertEqual(definition["externalParameters"]["buildArguments"], ["TOKEN"])
        base = http_request(
            "GET", f"http://127.0.0.1:{self.bases.port}/v2/library/debian/manifests/bookworm-slim",
            headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"})
        self.assertIn("ghcr.io/blaxel-ai/sandbox", definition["resolvedDependencies"].pop()["uri"])
        self.assertEqual(definition["resolvedDependencies"], [{
            "uri": "pkg:oci/debian?repository_url=docker.io/library/debian&tag=bookworm-slim",
            "digest": {"sha256": base.headers["Docker-Content-Digest"].removeprefix("sha256:")}}])

    def test_a_reused_image_keeps_what_is_said_of_it_and_a_deleted_one_does_not(self):
        files = {"Dockerfile": "FROM alpine:3.20\nCOPY Dockerfile /\n"}
        self.deploy("kept", files)
        before = self.attested("kept", "sbom").body, self.attested("kept", "provenance").body
        subject, attached = self.referrers("kept")
        self.deploy("kept", files)
        self.assertEqual(self.kiln.manifest("kept").headers["Docker-Content-Digest"], subject)
        self.assertEqual((self.attested("kept", "sbom").body,
                          self.attested("kept", "provenance").body), before)
        self.assertEqual(self.referrers("kept")[1], attached)
        self.assertEqual(self.kiln.get("/images/sandbox/kept:nosuch/sbom").status, 404)
        self.assertEqual(self.kiln.get("/images/sandbox/kept/sbom", workspace="other").status, 404)
        self.assertEqual(self.kiln.request("DELETE", "/images/sandbox/kept").status, 409)
        self.assertEqual(self.kiln.request("DELETE", "/sandboxes/kept").status, 200)
        self.assertEqual(self.kiln.request("DELETE", "/images/sandbox/kept").status, 200)
        self.assertEqual(self.kiln.get("/images/sandbox/kept/sbom").status, 404)
        for reference in (attached[SPDX]["digest"], subject.replace(":", "-")):
            self.assertEqual(self.kiln.pull(f"manifests/{reference}", "kept",
                                            headers={"Accept": INDEX}).status, 404)

    def test_layers_of_another_image_of_the_workspace_are_mounted(self):
        big = {"big": bytes(range(256)) * 4096, "Dockerfile": "FROM alpine:3.20\nCOPY big /\n"}
        self.deploy("first", big)
        self.deploy("second", big)
        sent = [line for line in self.kiln.log_lines("second") if " were there already" in line]
        self.assertEqual(len(sent), 1)
        self.assertRegex(sent[0], r"^#\d+ \d(\.\d)? kB sent, ", "nothing but the configuration")

    def beside(self):
        """Options of a Kiln with data of its own and the registry of this one, whose key it needs."""
        return [*self.kiln.common()[2:], "--registry-key",
                self.kiln.data / "registry/token-key.pem"]

    def test_the_command_writes_both_and_the_epoch_makes_them_the_same(self):
        folder = self.kiln.directory / "folder"
        folder.mkdir()
        for name, text in {"Dockerfile": "FROM debian:bookworm-slim\nARG SOURCE_DATE_EPOCH\n"
                                         "COPY status /var/lib/dpkg/status\n",
                           ".env.build": "SOURCE_DATE_EPOCH=1700000000\n",
                           "status": DPKG}.items():
            (folder / name).write_text(text)
        seen = []
        for i in range(2):
            sbom, made = (self.kiln.directory / f"{i}.{kind}" for kind in ("sbom", "made"))
            self.kiln.run("build", folder, *self.beside(), "--data-dir",
                          self.kiln.directory / f"alone{i}", "--sbom", sbom, "--provenance", made)
            seen.append((sbom.read_bytes(), made.read_bytes()))
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(json.loads(seen[0][0])["creationInfo"]["created"], "2023-11-14T22:13:20Z")
        self.assertIn("pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12",
                      purls(json.loads(seen[0][0])))
        done = self.kiln.run("build", folder, *self.beside(), "--data-dir",
                             self.kiln.directory / "alone0", "--attest", "off", "--sbom",
                             self.kiln.directory / "none", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("has no SBOM", done.stderr)


if __name__ == "__main__":
    kiln_server.main()
