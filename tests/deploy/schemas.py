"""Schemas for kubeconform, which would fetch them: made from the API that Kubernetes and the Prometheus operator publish as Go modules."""

import json
import pathlib
import subprocess

from common import TARGET, skip

KUBERNETES = "k8s.io/kubernetes@v1.36.2"
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
# What `go mod download` says of them: another content under these versions is refused.
SUMS = {
    KUBERNETES: "h1:qsCug7E1dMVO+rNuCENKG64Z7SVS/fTqDHGI1/NCmTg=",
    OPERATOR: "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
}


def module(name):
    """The folder of a Go module, downloaded where it is not there."""
    try:
        done = subprocess.run(["go", "mod", "download", "-json", name], capture_output=True, text=True, timeout=600, check=False, cwd="/")
    except OSError:
        skip("kubeconform", "go is not installed")
    if done.returncode != 0:
        skip("kubeconform", "Go modules cannot be downloaded from here")
    told = json.loads(done.stdout)
    assert told["Sum"] == SUMS[name], f"{name} is another one: {told['Sum']}"
    return pathlib.Path(told["Dir"])


def strict(schema):
    """A schema in which a misspelt field is a fault, its references kept inside one file."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items() if not key.startswith("x-")}
    if isinstance(schema.get("x-kubernetes-int-or-string"), bool) or schema.get("format") == "int-or-string":
        made.pop("type", None)
        made.pop("format", None)
        made["oneOf"] = [{"type": "string"}, {"type": "integer"}]
    if isinstance(schema.get("properties"), dict) and "type" in schema and "additionalProperties" not in schema:
        made["additionalProperties"] = False
    return made


def write_all():
    """Writes one schema for each kind and gives their folder."""
    folder = TARGET / "tools" / "schemas"
    stamp = folder / "made-from"
    if stamp.exists() and stamp.read_text() == json.dumps(SUMS):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    api = json.loads((module(KUBERNETES) / "api/openapi-spec/swagger.json").read_text())
    definitions = strict(api["definitions"])
    definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"oneOf": [{"type": "string"}, {"type": "number"}]}
    (folder / "_definitions.json").write_text(json.dumps({"definitions": definitions}))
    for name, definition in api["definitions"].items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            write_one(folder, kind["group"], kind["version"], kind["kind"], {"$ref": f"_definitions.json#/definitions/{name}"})
    for file in ("servicemonitors", "prometheusrules"):
        crd = json.loads((module(OPERATOR) / f"jsonnet/prometheus-operator/{file}-crd.json").read_text())["spec"]
        for version in crd["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # A CRD says nothing of the metadata that every object has.
            schema["properties"]["metadata"] = {"$ref": "_definitions.json#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
            write_one(folder, crd["group"], version["name"], crd["names"]["kind"], schema)
    stamp.write_text(json.dumps(SUMS))
    return folder


def write_one(folder, group, version, kind, schema):
    name = "-".join(word for word in (kind, group.split(".")[0], version) if word).lower()
    (folder / f"{name}.json").write_text(json.dumps(schema))
