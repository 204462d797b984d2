#!/usr/bin/env python3
"""Packs the demo's images from tests/fixtures/live into recorded.json, beside this file. Standard library only.

    python3 proxy/src/cli/demo/pack.py

Of each image: its manifest, its children, whatever refers to any of them (a `subject`, or one of cosign's tags), and the
config and layers of all these. Every byte is as the real tools wrote it, so every digest and signature still holds."""

import base64
import hashlib
import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
LIVE = HERE.parents[3] / "tests" / "fixtures" / "live"
TAG = "org.opencontainers.image.ref.name"

# Repository in the demo, recorded repository, recorded tag. Each becomes the tag "v1".
IMAGES = [
    ("shop/key", "cosign2-keyed", "p256"),
    ("shop/key-bundle", "cosign3-keyed", "p256"),
    ("shop/platforms", "cosign2-index", "index-only"),
    ("shop/keyless", "keyless2-sig", "good"),
    ("shop/keyless-bundle", "keyless3-bundle", "rekor2"),
    ("shop/unsigned", "cosign2-keyed", "unsigned"),
    ("shop/stranger", "cosign2-keyed", "wrong-key"),
    ("shop/copied", "cosign2-hostile", "stolen"),
    ("shop/other-branch", "keyless3-bundle", "other-ref"),
    ("built/provenance", "keyless3-bundle", "attest-gh"),
    ("built/other-branch", "keyless3-bundle", "attest-other-ref"),
    ("built/copied", "keyless3-bundle", "attest-stolen"),
    ("legacy/unsigned", "cosign3-keyed", "unsigned"),
]


class Layout:
    def __init__(self, name):
        self.folder = LIVE / name
        self.entries = json.loads((self.folder / "index.json").read_text())["manifests"]

    def blob(self, digest):
        path = self.folder / "blobs" / digest.replace(":", "/")
        return path.read_bytes() if path.exists() else None

    def tagged(self, tag):
        return [entry for entry in self.entries if (entry.get("annotations") or {}).get(TAG) == tag]

    def about(self, digest):
        """The digest itself, its children, and what refers to them."""
        entries = [(None, entry) for entry in self.entries if entry["digest"] == digest][:1]
        manifest = json.loads(self.blob(digest))
        for suffix in [".sig", ".att"]:
            tag = digest.replace(":", "-") + suffix
            entries += [(tag, entry) for entry in self.tagged(tag)]
        for entry in self.entries:
            if (json.loads(self.blob(entry["digest"])).get("subject") or {}).get("digest") == digest:
                entries.append((None, entry))
        for child in manifest.get("manifests") or []:
            entries += self.about(child["digest"])
        return entries


def packed(data):
    try:
        text = data.decode("ascii")
        if all(character == "\n" or character.isprintable() for character in text):
            return {"text": text}
    except UnicodeDecodeError:
        pass
    return {"base64": base64.b64encode(data).decode()}


def main():
    manifests, blobs = [], {}
    for repository, layout, tag in IMAGES:
        layout = Layout(layout)
        digest = layout.tagged(tag)[0]["digest"]
        seen = set()
        listed = [("v1", layout.tagged(tag)[0])] + layout.about(digest)[1:]
        for name, entry in listed:
            if (name, entry["digest"]) in seen:
                continue
            seen.add((name, entry["digest"]))
            data = layout.blob(entry["digest"])
            blobs[entry["digest"]] = packed(data)
            manifest = json.loads(data)
            manifests.append({"repository": repository, "tag": name, "digest": entry["digest"]})
            for descriptor in [manifest.get("config")] + (manifest.get("layers") or []):
                content = layout.blob(descriptor["digest"]) if descriptor else None
                if content is not None:
                    blobs[descriptor["digest"]] = packed(content)
                    assert descriptor["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
    recorded = {"manifests": manifests, "blobs": dict(sorted(blobs.items()))}
    (HERE / "recorded.json").write_text(json.dumps(recorded, indent=1) + "\n")
    print(len(manifests), "manifests,", len(blobs), "blobs")


if __name__ == "__main__":
    main()
