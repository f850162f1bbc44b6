"""Readings by local days, weeks and months, as the standard library's `zoneinfo` has them.

    python3 tests/python/local_days.py > tests/data/local-days.csv

Each case has a reading every 30 minutes, as `tests/it/local_time.rs` sends them. They are
grouped by the date that it was, and a day begins with the first minute of its date. So nothing
here is computed as the service does it. The zones are those in `query/assets/zones`.
"""

import pathlib
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

FILES = pathlib.Path(__file__).parents[2] / "query/assets/zones"
MINUTE = 60
READING = 30 * MINUTE
DAY = 24 * 60 * MINUTE

# Zone, first date, first date after.
CASES = [
    ("Europe/Berlin", "2026-03-01", "2026-04-01"),
    ("Europe/Berlin", "2026-10-01", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-03-30", "2026-04-13"),
    ("Australia/Lord_Howe", "2026-09-28", "2026-10-12"),
    ("America/St_Johns", "2026-03-02", "2026-03-16"),
    ("America/St_Johns", "2026-10-26", "2026-11-09"),
    ("Asia/Kathmandu", "2026-03-30", "2026-04-13"),
    ("Asia/Kolkata", "2026-02-01", "2026-03-01"),
    ("Pacific/Chatham", "2026-03-30", "2026-04-13"),
    ("Pacific/Chatham", "2026-09-21", "2026-10-05"),
    ("Pacific/Apia", "2011-12-26", "2012-01-09"),
    ("America/Sao_Paulo", "2018-10-29", "2018-11-12"),
    ("America/Havana", "2025-10-27", "2025-11-10"),
    ("Africa/Monrovia", "1972-01-01", "1972-02-01"),
    ("Etc/GMT+12", "2026-01-01", "2026-02-01"),
]


def zone_of(name: str) -> ZoneInfo:
    with (FILES / (name.replace("/", ".") + ".tzif")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def local(second: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(second, zone)


def first_minute(day: date, zone: ZoneInfo) -> int:
    """The first minute in which it is this date or a later one, in Unix seconds."""
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp())
    minute = midnight - 2 * DAY
    while local(minute + MINUTE - 1, zone).date() < day:
        minute += MINUTE
    return minute


def text(second: int) -> str:
    return datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def starts(step: str, first: date, after: date) -> "list[date]":
    """The dates on which a step begins, and the one on which the last ends."""
    days = [first + timedelta(n) for n in range((after - first).days)]
    if step == "1w":
        days = days[::7]
    if step == "1mo":
        days = [day for day in days if day.day == 1]
    return [*days, after]


def rows(name: str, first: date, after: date, step: str) -> "list[str]":
    zone = zone_of(name)
    edges = starts(step, first, after)
    begin = first_minute(first, zone)
    readings = {}
    # As many as `readings` in tests/it/local_time.rs.
    start = (begin - DAY) // READING * READING
    for number in range((first_minute(after, zone) + DAY - start) // READING):
        second = start + number * READING
        readings[second] = number * 7919 % 40_000 - 5_000
    lines = []
    for day, next_day in zip(edges, edges[1:]):
        of_step = [s for s in readings if day <= local(s, zone).date() < next_day]
        ends = first_minute(next_day, zone)
        if begin < ends:
            figures = [len(of_step), sum(readings[s] for s in of_step)]
            seen = [text(s) for s in (min(of_step), max(of_step))]
            cells = [name, first, after, step, text(begin), text(ends), *figures, *seen]
            lines.append(",".join(map(str, cells)))
        begin = ends
    return lines


def main() -> None:
    print("zone,first,after,step,from,to,count,sum_millicelsius,oldest,newest")
    for name, first_text, after_text in CASES:
        first, after = date.fromisoformat(first_text), date.fromisoformat(after_text)
        for step in ["1d", "1w", "1mo"] if first.day == 1 else ["1d", "1w"]:
            print("\n".join(rows(name, first, after, step)))


main()
