"""Renders our overlays as `kubectl kustomize` does, with Python alone. It knows what our files use, refuses the rest.

Where kubectl is at hand, a test compares both.
"""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

Manifest = dict[str, Any]

_KNOWN: Final = frozenset({"apiVersion", "kind", "resources", "components", "namespace", "images", "patches"})
#: Kinds without a namespace.
_OF_THE_CLUSTER: Final = frozenset({"Namespace"})


def rendered(folder: Path, found: list[Manifest] | None = None) -> list[Manifest]:
    """Return the objects of a kustomization; a component changes, and adds to, those that were ``found`` before it."""
    text = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := text.keys() - _KNOWN:
        raise NotImplementedError(f"{folder.name}: {', '.join(sorted(unknown))}")
    objects = list(found or [])
    for name in text.get("resources", ()):
        path = (folder / name).resolve()
        objects += rendered(path) if path.is_dir() else documents(path)
    for name in text.get("components", ()):
        objects = rendered((folder / name).resolve(), objects)
    for patch in text.get("patches", ()):
        _patch(objects, patch)
    for image in text.get("images", ()):
        _name(objects, image)
    if namespace := text.get("namespace"):
        for each in objects:
            if each["kind"] not in _OF_THE_CLUSTER:
                each["metadata"]["namespace"] = namespace
    return objects


def documents(path: Path) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def pod(manifest: Manifest) -> Manifest:
    """Return the pod that a Deployment or a Job starts."""
    return dict(manifest["spec"]["template"]["spec"])


def workloads(objects: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """Yield each object that starts pods, with its one container."""
    for each in objects:
        if each["kind"] in ("Deployment", "Job"):
            (container,) = pod(each)["containers"]
            yield each, container


def _patch(objects: list[Manifest], patch: Manifest) -> None:
    target, names = patch["target"], re.compile(patch["target"]["name"])
    aimed = [each for each in objects if each["kind"] == target["kind"] and names.fullmatch(each["metadata"]["name"])]
    assert aimed, f"a patch of {target} meets nothing"
    for each in aimed:
        for operation in yaml.safe_load(patch["patch"]):
            _apply(each, **operation)


def _apply(document: Any, op: str, path: str, value: Any = None) -> None:
    """Apply one operation of a JSON patch (RFC 6902)."""
    *way, last = path.removeprefix("/").split("/")
    for step in way:
        document = document[int(step) if isinstance(document, list) else step]
    if op == "add" and last == "-":
        document.append(copy.deepcopy(value))
        return
    place = int(last) if isinstance(document, list) else last
    if op in ("remove", "replace"):
        document[place]  # it must be there
    if op == "remove":
        del document[place]
    else:
        document[place] = copy.deepcopy(value)


def _name(objects: list[Manifest], image: Manifest) -> None:
    for _, container in workloads(objects):
        if container["image"] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"
