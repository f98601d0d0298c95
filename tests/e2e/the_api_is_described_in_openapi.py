"""GET /v0/openapi.json is OpenAPI as others read it, and what POST /v0/plan answers is as it says.
(The C tests hold all other answers to it: tests/api/described.c.)

openapi-spec-validator is installed from PyPI and kept; jsonschema comes with it."""
import json
import subprocess
import sys
import unittest

import kiln_server
from kiln_server import Bases, Kiln, http_request, zip_of

VALIDATE_DOCUMENT = """
import json, sys
from openapi_spec_validator import OpenAPIV31SpecValidator
for problem in OpenAPIV31SpecValidator(json.load(sys.stdin)).iter_errors():
    print(problem)
"""
VALIDATE_PLANS = """
import json, sys
from jsonschema import Draft202012Validator
document, plans = json.load(sys.stdin)
schema = {"$ref": "#/components/schemas/Plan", "components": document["components"]}
for plan in plans:
    for problem in Draft202012Validator(schema).iter_errors(plan):
        print(problem.json_path, problem.message)
    for word in plan.keys() - document["components"]["schemas"]["Plan"]["properties"].keys():
        print(word, "is not described")
"""


class Described(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(bases.stop)
        cls.kiln = Kiln(bases)
        cls.addClassCleanup(cls.kiln.remove)
        cls.kiln.start()

    def description(self):
        answer = http_request("GET", f"{self.kiln.url}/openapi.json")
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def problems(self, script, data):
        packages = kiln_server.from_pypi("openapi-spec-validator==0.9.0")
        done = subprocess.run([sys.executable, "-c", script], input=json.dumps(data), text=True,
                              env={"PYTHONPATH": str(packages), "PATH": "/usr/bin:/bin"},
                              capture_output=True)
        return done.stdout + (done.stderr if done.returncode else "")

    def plan(self, files):
        answer = http_request("POST", f"{self.kiln.url}/plan", zip_of(files), {
            "Authorization": f"Bearer {self.kiln.key()}", "Content-Type": "application/zip"})
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def test_the_document_is_openapi(self):
        document = self.description()
        self.assertEqual(self.problems(VALIDATE_DOCUMENT, document), "")
        document["paths"]["/v0/images"]["get"]["responses"] = 1
        self.assertNotEqual(self.problems(VALIDATE_DOCUMENT, document), "")

    def test_plans_are_as_described(self):
        plans = [self.plan({"Dockerfile": "FROM alpine:3.20 AS a\nRUN echo ok\n"}),
                 self.plan({"go.mod": "module example.com/hello\n\ngo 1.22\n",
                            "main.go": "package main\n\nfunc main() {}\n"}),
                 self.plan({"Dockerfile": "FROM alpine:3.20\nCOPPY a b\n"})]
        self.assertEqual(self.problems(VALIDATE_PLANS, [self.description(), plans]), "")
        plans[0]["notes"] = "a text"
        self.assertNotEqual(self.problems(VALIDATE_PLANS, [self.description(), plans]), "")


if __name__ == "__main__":
    kiln_server.main()
