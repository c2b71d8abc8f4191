"""The software bill of materials of a package: CycloneDX 1.5, from the wheels that are in it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from products import LIB, Product
from stage import Release, read_metadata
from wheels import Pin


def bill(product: Product, release: Release, tree: Path, pins: list[Pin]) -> str:
    """As JSON. The hashes of a component are those of the lock file: of the wheels for every machine and Python."""
    by_name = {pin.name.lower().replace("_", "-").replace(".", "-"): pin for pin in pins}
    components = []
    for path in sorted((tree / LIB).glob("*.dist-info/METADATA")):
        said = read_metadata(path)
        pin = by_name.get(said["Name"].lower().replace("_", "-").replace(".", "-"))
        if pin is None:
            continue
        component = {
            "type": "library",
            "bom-ref": f"pkg:pypi/{pin.name}@{pin.version}",
            "name": said["Name"],
            "version": pin.version,
            "purl": f"pkg:pypi/{pin.name}@{pin.version}",
            "hashes": [{"alg": "SHA-256", "content": each.removeprefix("sha256:")} for each in pin.hashes],
        }
        if said["License"]:
            component["licenses"] = [{"license": {"name": said["License"]}}]
        components.append(component)
    me = f"{product.name}@{release.version}"
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, me + release.date)}",
        "version": 1,
        "metadata": {
            "timestamp": f"{release.date}T00:00:00Z",
            "component": {
                "type": "application",
                "bom-ref": me,
                "name": product.name,
                "version": release.version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": components,
        "dependencies": [{"ref": me, "dependsOn": [component["bom-ref"] for component in components]}],
    }
    return json.dumps(document, indent=1) + "\n"
