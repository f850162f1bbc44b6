"""Kubernetes' objects from YAML on standard input, as JSON, with what is wrong with each.

The directory of the schemas is the only argument: index.json names the schema of each
kind, and rules/ may have further rules for it.
"""

import json
import pathlib
import sys

import jsonschema_rs
import yaml


def read(path):
    return json.loads(path.read_text())


def errors(document, directory, index):
    kind = f"{document.get('apiVersion')} {document.get('kind')}"
    if kind not in index:
        return [f"no schema for {kind}"]
    found = []
    for path in (directory / index[kind], directory / "rules" / index[kind]):
        if path.exists():
            validator = jsonschema_rs.validator_for(read(path))
            for error in validator.iter_errors(document):
                place = "/".join(str(part) for part in error.instance_path)
                found.append(f"{place}: {error.message}")
    return found


def main():
    directory = pathlib.Path(sys.argv[1])
    index = read(directory / "index.json")
    documents = [document for document in yaml.safe_load_all(sys.stdin) if document is not None]
    checked = [{"object": document, "errors": errors(document, directory, index)} for document in documents]
    json.dump(checked, sys.stdout)


if __name__ == "__main__":
    main()
