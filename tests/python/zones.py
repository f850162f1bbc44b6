"""Time zones: the files in query/assets/zones, from the package `tzdata`.

    python3 -m pip install --upgrade --target target/tzdata tzdata
    python3 tests/python/zones.py target/tzdata/tzdata
"""

import pathlib
import sys

FILES = pathlib.Path(__file__).parents[2] / "query/assets/zones"


def update(package: pathlib.Path) -> None:
    """Replaces the files by those of the package. They are in its slim form: no change
    that follows from the rule at the file's end."""
    for old in FILES.glob("*.tzif"):
        old.unlink()
    names = (package / "zones").read_text().split()
    for name in names:
        content = (package / "zoneinfo" / name).read_bytes()
        (FILES / (name.replace("/", ".") + ".tzif")).write_bytes(content)
    source = (package / "__init__.py").read_text()
    version = source.split('IANA_VERSION = "')[1].split('"')[0]
    print(f"{len(names)} zones of release {version}; write that into the README")


update(pathlib.Path(sys.argv[1]))
