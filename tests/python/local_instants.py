"""Compares which instants a local time means with the standard library's `zoneinfo`.

Reads lines of a zone file's name, a local time (as Unix seconds would be, if the zone were UTC),
and the instants that it was taken for: none, one, or two. Prints how many local times are the
same, and how many of them there are not and there are twice. Fails at the first that is not.
"""

import functools
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


@functools.lru_cache(None)
def zone_of(path: str) -> ZoneInfo:
    with open(path, "rb") as file:
        return ZoneInfo.from_file(file)


EPOCH = datetime(1970, 1, 1)


def instants(zone: ZoneInfo, local: datetime) -> list[int]:
    """The instants at which a clock shows `local`, in their order."""
    found = set()
    for fold in (0, 1):
        at = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        # What the clocks leave out is taken for a time that they show differently.
        if at.astimezone(zone).replace(tzinfo=None) == local:
            found.add(int(at.timestamp()))
    return sorted(found)


def main() -> None:
    counts = [0, 0, 0]
    for line in sys.stdin:
        path, second, *taken = line.split()
        local = EPOCH + timedelta(seconds=int(second))
        expected = instants(zone_of(path), local)
        if expected != [int(at) for at in taken]:
            sys.exit(f"{path} at {local}: {taken}, and in Python {expected}")
        counts[len(expected)] += 1
    print(sum(counts), counts[0], counts[2])


main()
