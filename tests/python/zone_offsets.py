"""Compares offsets with those of the standard library's `zoneinfo`, over the same files.

Reads lines of a file's name, Unix seconds and an offset in seconds. Prints how many are the
same, and fails at the first that is not.
"""

import functools
import sys
from datetime import datetime
from zoneinfo import ZoneInfo


@functools.lru_cache(None)
def zone_of(path: str) -> ZoneInfo:
    with open(path, "rb") as file:
        return ZoneInfo.from_file(file)


def main() -> None:
    checked = 0
    for line in sys.stdin:
        path, second, offset = line.rsplit(" ", 2)
        utc_offset = datetime.fromtimestamp(int(second), zone_of(path)).utcoffset()
        expected = int(utc_offset.total_seconds())
        if expected != int(offset):
            sys.exit(f"{path} at {second}: {offset.strip()}, and in Python {expected}")
        checked += 1
    print(checked)


main()
