"""A client of Isotherm: sends temperature readings, and asks for their averages.

One file, the standard library alone, Python 3.9 or newer. Its README.md is in the folder
clients/python of Isotherm.

    client = Client("http://gateway:3000", queue="/var/lib/isotherm-client/queue.db")
    client.send("door", "cold-room", 4.5)       # on disk when it returns
    client.flush()                              # delivered when it returns
    print(client.region("cold-room").average_c)
"""

from __future__ import annotations

import argparse
import email.utils
import http.client
import json
import logging
import os
import random
import sqlite3
import ssl
import sys
import threading
import time
import uuid
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta, timezone
from typing import (Any, Callable, Dict, Generic, Iterable, Iterator, List, Mapping,
                    NamedTuple, Optional, Sequence, SupportsFloat, Tuple, Type, TypeVar, Union)
from urllib.parse import quote, urlencode, urljoin, urlsplit

__version__ = "0.1.0"
__all__ = ["Client", "Conflict", "Correction", "Coverage", "Device", "DeviceFigures",
           "Excursion", "Figures", "IsothermError", "Limits", "Listing", "Problem", "QueueError",
           "QueueFull", "Reading", "Refused", "Region", "Rejected", "Rejection", "Sent",
           "StoredReading", "Unavailable", "Window"]

#: How many readings, and how many bytes of them, are sent in one request.
BATCH_READINGS = 10_000
BATCH_BYTES = 8 * 1024 * 1024
#: A request that is cut off while it is sent may have been too large, above this.
CUT_BYTES_MIN = 64 * 1024
#: No valid reading is longer. A longer one that is too large for the server is rejected.
READING_BYTES_MAX = 1024
#: How many rejected items an answer names at most.
NAMED_MAX = 1_000
#: Pauses between two attempts are random, from 0 to a bound that doubles up to this.
PAUSE_FIRST_S, PAUSE_MAX_S = 0.25, 30.0
#: What a server asks for with `retry-after` is followed up to this.
RETRY_AFTER_MAX_S = 300.0
#: How long one process delivers the queue before another may take over.
LEASE_MS = 60_000
#: How many refused readings the queue keeps; beyond that, the oldest are deleted.
REFUSED_MAX = 100_000
#: How long one writer of the queue waits for the others.
QUEUE_WAIT_S = 30.0
#: Numbers below this look like seconds to the server.
MILLISECONDS_MIN = 100_000_000_000

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Sending again can help, as can another try of a proxy.
TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})

#: Unix milliseconds, a datetime with a zone, or RFC 3339 like 2026-11-22T10:00:00Z.
Instant = Union[int, str, datetime]
_T = TypeVar("_T")
_R = TypeVar("_R", bound="_Record")
_Ask = Callable[[bytes], Dict[str, Any]]
_log = logging.getLogger("isotherm")


# What is sent, and what becomes of it


class Reading(NamedTuple):
    """One temperature. `timestamp` is Unix milliseconds, a datetime with a zone, RFC 3339
    like `2026-11-22T10:00:00Z`, or now."""

    device_id: str
    region: str
    temperature_c: SupportsFloat
    timestamp: Optional[Instant] = None


ReadingLike = Union[Reading, Tuple[str, str, SupportsFloat],
                    Tuple[str, str, SupportsFloat, Optional[Instant]], Mapping[str, Any]]


@dataclass(frozen=True)
class Rejected:
    """A reading that the server did not accept: its place among those sent, and why."""

    index: int
    reason: str
    detail: str


@dataclass
class Sent:
    """What became of the readings of a call."""

    #: On the server's disk. Those sent before are among them, and count once.
    accepted: int = 0
    rejected: List[Rejected] = field(default_factory=list)
    #: In the queue on this machine's disk.
    queued: int = 0
    #: Of the accepted, those that the server counts when its clock is right.
    waiting_for_clock: int = 0

    def _add(self, other: "Sent", start: int) -> None:
        self.accepted += other.accepted
        self.waiting_for_clock += other.waiting_for_clock
        self.rejected += [replace(item, index=item.index + start) for item in other.rejected]


class Refused(NamedTuple):
    """A reading of the queue that the server rejected."""

    id: int
    reading: Reading
    reason: str
    detail: str
    refused_at: datetime


class IsothermError(Exception):
    """What the methods of a client raise. `sent` is what was accepted before."""

    sent: Optional[Sent] = None


class Problem(IsothermError):
    """The server refused a request (RFC 9457), and sending it again would not help."""

    def __init__(self, status: int, type: str = "about:blank", title: str = "",
                 detail: str = "", errors: Sequence[Rejected] = (), errors_omitted: int = 0):
        super().__init__(f"{status} {title}: {detail}" if detail else f"{status} {title}")
        self.status, self.type, self.title, self.detail = status, type, title, detail
        self.errors, self.errors_omitted = list(errors), errors_omitted


class Unavailable(IsothermError):
    """There was no answer, or one that says to try again, until time or attempts ran out."""

    def __init__(self, message: str, problem: Optional[Problem] = None,
                 retry_after: Optional[float] = None):
        super().__init__(message)
        self.problem, self.retry_after = problem, retry_after


class QueueError(IsothermError):
    """The queue's file can't be used. What was to be queued is not in it."""


class QueueFull(QueueError):
    """The queue has as many readings as it may. Nothing of the call was queued."""


# What is answered


def _parsed(value: Any) -> Optional[datetime]:
    """An instant of an answer: RFC 3339 in UTC."""
    if not isinstance(value, str):
        return None
    text = value[:-1] + "+00:00" if value.endswith("Z") else value
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None  # Beyond what a datetime can hold, like the year 10000.


_INSTANTS = frozenset({"as_of", "at", "begin", "changed", "coldest_at", "end", "extreme_at", "first_seen", "from_", "made", "newest", "oldest",
                       "timestamp", "to", "warmest_at"})


@dataclass
class _Record:
    #: Fields of the answer that this client does not know.
    extra: Dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def _of(cls: Type[_R], document: Mapping[str, Any], **given: Any) -> _R:
        names = {f.name.rstrip("_"): f.name for f in fields(cls)}
        values: Dict[str, Any] = {}
        extra: Dict[str, Any] = {}
        for key, value in document.items():
            name = names.get(key)
            if name is None or name in ("extra", "coverage", "regions"):
                extra[key] = value
            else:
                values[name] = _parsed(value) if name in _INSTANTS else value
        return cls(**{**values, **given, "extra": extra})


@dataclass
class Coverage(_Record):
    """What an answer covers. Of several pages it is the worst of what they say."""

    as_of: Optional[datetime] = None
    #: These are the last good figures, since the database is away.
    stale: bool = False
    #: Acknowledged, but not counted yet; None where it is not known.
    unfolded_entries: Optional[int] = None
    unfolded_readings: Optional[int] = None
    quarantined_readings: Optional[int] = None
    #: Nodes that send to this one, those of them that are silent, and the oldest time of
    #: which one of them has said what it has.
    senders: Optional[int] = None
    silent_senders: Optional[int] = None
    #: The names of the silent ones, with spaces between.
    silent_nodes: Optional[str] = None
    senders_as_of: Optional[datetime] = None
    #: What they may still have to send: an estimate.
    missing_readings: Optional[int] = None
    #: Nothing but what is in quarantine is missing on this node.
    complete: bool = False

    @classmethod
    def _take(cls, document: Dict[str, Any]) -> "Coverage":
        """Moves the fields of the coverage out of an answer."""
        names = [f.name for f in fields(cls) if f.name != "extra"]
        own = {name: document.pop(name) for name in names if name in document}
        own.setdefault("complete", not own.get("stale", False)
                       and own.get("unfolded_entries") == 0)
        return cls._of(own)

    def _worst(self, other: "Coverage") -> "Coverage":
        def most(one: Optional[int], two: Optional[int]) -> Optional[int]:
            return None if one is None or two is None else max(one, two)

        def oldest(one: Optional[datetime], two: Optional[datetime]) -> Optional[datetime]:
            return min((time for time in (one, two) if time), default=None)
        return Coverage(
            as_of=oldest(self.as_of, other.as_of),
            stale=self.stale or other.stale,
            unfolded_entries=most(self.unfolded_entries, other.unfolded_entries),
            unfolded_readings=most(self.unfolded_readings, other.unfolded_readings),
            quarantined_readings=most(self.quarantined_readings, other.quarantined_readings),
            senders=most(self.senders, other.senders),
            silent_senders=most(self.silent_senders, other.silent_senders),
            silent_nodes=other.silent_nodes or self.silent_nodes,
            senders_as_of=oldest(self.senders_as_of, other.senders_as_of),
            missing_readings=most(self.missing_readings, other.missing_readings),
            complete=self.complete and other.complete)


@dataclass
class Figures(_Record):
    """Statistics of readings. None: there are no readings, or it was not stored."""

    count: Optional[int] = None
    average_c: Optional[float] = None
    min_c: Optional[float] = None
    max_c: Optional[float] = None
    standard_deviation_c: Optional[float] = None
    p50_c: Optional[float] = None
    p95_c: Optional[float] = None
    p99_c: Optional[float] = None
    devices: Optional[int] = None
    device_average_c: Optional[float] = None
    late: Optional[int] = None
    time_assumed: Optional[int] = None
    duplicates: Optional[int] = None
    conflicts: Optional[int] = None
    #: Readings that were changed, withdrawn, or moved to or from here.
    corrected: Optional[int] = None
    sum_millicelsius: Optional[int] = None
    oldest: Optional[datetime] = None
    newest: Optional[datetime] = None
    revision: Optional[int] = None
    #: The range; None is without end.
    from_: Optional[datetime] = None
    to: Optional[datetime] = None


@dataclass
class Window(Figures):
    """One step of a region."""


@dataclass
class Region(Figures):
    """A region over all time, or over a range."""

    region: str = ""
    newest_age_ms: Optional[int] = None
    #: Of the newest readings of the devices that are not silent; None for a range.
    latest_average_c: Optional[float] = None
    latest_devices: Optional[int] = None
    warmest_device: Optional[str] = None
    warmest_c: Optional[float] = None
    warmest_at: Optional[datetime] = None
    coldest_device: Optional[str] = None
    coldest_c: Optional[float] = None
    coldest_at: Optional[datetime] = None
    silent_devices: Optional[int] = None
    #: Those that have been silent longest, at most 20.
    silent: Optional[List[str]] = None
    low_c: Optional[float] = None
    high_c: Optional[float] = None
    within_limits: Optional[bool] = None
    #: How many of the nodes that have sent its readings are silent, or behind by minutes.
    behind_senders: Optional[int] = None
    #: Their names, at most 5.
    behind: Optional[List[str]] = None
    coverage: Coverage = field(default_factory=Coverage)


@dataclass
class DeviceFigures(_Record):
    """A device in one region."""

    device_id: str = ""
    region: str = ""
    count: Optional[int] = None
    average_c: Optional[float] = None
    min_c: Optional[float] = None
    max_c: Optional[float] = None
    first_seen: Optional[datetime] = None
    newest: Optional[datetime] = None
    newest_age_ms: Optional[int] = None
    #: That of the newest reading.
    temperature_c: Optional[float] = None


@dataclass
class Device(_Record):
    """A device in all its regions, and its newest reading."""

    device_id: str = ""
    count: Optional[int] = None
    average_c: Optional[float] = None
    min_c: Optional[float] = None
    max_c: Optional[float] = None
    first_seen: Optional[datetime] = None
    newest: Optional[datetime] = None
    newest_age_ms: Optional[int] = None
    region: Optional[str] = None
    temperature_c: Optional[float] = None
    #: How often it is expected to send; None if that is unknown.
    expected_interval_ms: Optional[int] = None
    #: How old its newest reading may be; None if it may be silent.
    silent_after_ms: Optional[int] = None
    silent: Optional[bool] = None
    from_: Optional[datetime] = None
    to: Optional[datetime] = None
    regions: List[DeviceFigures] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)


@dataclass
class StoredReading(_Record):
    """A single reading that was counted."""

    timestamp: Optional[datetime] = None
    region: str = ""
    temperature_c: Optional[float] = None


@dataclass
class Conflict(_Record):
    """A reading that contradicts a counted one, which stands."""

    device_id: str = ""
    timestamp: Optional[datetime] = None
    region: str = ""
    temperature_c: Optional[float] = None
    standing_region: Optional[str] = None
    standing_temperature_c: Optional[float] = None


@dataclass
class Limits(_Record):
    """Between what a region's temperatures should be, and can be. None is no limit."""

    region: str = ""
    low_c: Optional[float] = None
    high_c: Optional[float] = None
    #: How long temperatures must be outside before that is listed, like `20m`.
    for_: Optional[str] = None
    plausible_low_c: Optional[float] = None
    plausible_high_c: Optional[float] = None
    changed: Optional[datetime] = None
    revision: Optional[int] = None


@dataclass
class Excursion(_Record):
    """When a region was outside its limits. `end` is None while it is. Durations are in
    milliseconds, temperatures in degrees Celsius."""

    region: str = ""
    kind: str = ""
    begin: Optional[datetime] = None
    end: Optional[datetime] = None
    open: Optional[bool] = None
    duration_ms: Optional[int] = None
    #: It began before `begin`, more than a day before the range that was asked for.
    begins_before: Optional[bool] = None
    #: The reading farthest outside, when it was measured, and by which device. The device is
    #: None where it is not known.
    extreme_c: Optional[float] = None
    extreme_at: Optional[datetime] = None
    extreme_device: Optional[str] = None
    #: How many readings are outside; None if it was found in minutes.
    readings: Optional[int] = None
    #: How many devices were outside, and the names of at most 20 of them; None if it was
    #: found in minutes.
    devices: Optional[int] = None
    device_ids: Optional[List[str]] = None
    #: How many times without a reading are in it, and the longest of them.
    gaps: Optional[int] = None
    longest_gap_ms: Optional[int] = None
    #: How many readings of its minutes were corrected.
    corrected: Optional[int] = None
    #: What it was found in: `"reading"` or `"minute"`.
    resolution: str = ""
    low_c: Optional[float] = None
    high_c: Optional[float] = None
    #: Another one whenever anything of the excursion is.
    revision: Optional[int] = None


@dataclass
class Correction(_Record):
    """A correction on record: what it expects to stand, and what is to stand instead, where
    a `temperature_c` of None is a withdrawn reading."""

    id: str = ""
    device_id: str = ""
    timestamp: Optional[datetime] = None
    expect_c: Optional[float] = None
    temperature_c: Optional[float] = None
    region: Optional[str] = None
    reason: Optional[str] = None
    made: Optional[datetime] = None
    state: str = ""


@dataclass
class Rejection(_Record):
    """What was rejected, with the names as they were sent."""

    at: Optional[datetime] = None
    device_id: Optional[str] = None
    region: Optional[str] = None
    reason: str = ""
    detail: str = ""
    address: Optional[str] = None
    #: How many were rejected for each one that is listed, this one among them.
    stands_for: Optional[int] = None


class Listing(Generic[_T]):
    """The items of an answer. The first page is there, the next ones are fetched when
    they are reached. It can be iterated once; `list(listing)` has all."""

    def __init__(self, client: "Client", url: str, key: str,
                 item: Callable[[Dict[str, Any], Coverage], _T]):
        self._client, self._key, self._item = client, key, item
        self._next: Optional[str] = url
        self._items: Iterator[_T] = iter(())
        #: What all pages so far cover.
        self.coverage = Coverage()
        #: What the first page has beside its items, like `step_ms`, `seen`, `kept_from`.
        self.extra: Dict[str, Any] = self._page(url)

    def _page(self, url: str) -> Dict[str, Any]:
        document = self._client._ask("GET", url)
        items, following = document.pop(self._key, None), document.pop("next", None)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Unavailable(f"the answer has no list {self._key!r}")
        coverage = Coverage._take(document)
        self._next = None
        if isinstance(following, str):
            # Relative to the request (RFC 3986, 5.2.2), and only to the same server: the
            # token is sent there.
            self._next = urljoin(url, following)
            if urlsplit(self._next)[:2] != urlsplit(url)[:2] or self._next == url:
                raise Unavailable(f"the next page is at another server, or the same: {following}")
        self._items = iter([self._item(item, coverage) for item in items])
        self.coverage = coverage
        return document

    def __iter__(self) -> Iterator[_T]:
        return self

    def __next__(self) -> _T:
        while True:
            for item in self._items:
                return item
            if self._next is None:
                raise StopIteration
            so_far = self.coverage
            self._page(self._next)
            self.coverage = so_far._worst(self.coverage)


# Times and readings as JSON


def _milliseconds(value: Instant) -> Union[int, str]:
    """An instant for the server. What would look like seconds is written as RFC 3339."""
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(f"{value!r} has no time zone; use datetime.now(timezone.utc)")
        milliseconds = (value - EPOCH) // timedelta(milliseconds=1)
        if milliseconds >= MILLISECONDS_MIN:
            return milliseconds
        text = value.astimezone(timezone.utc).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        parsed = _parsed(value)
        if parsed is None or parsed.utcoffset() is None:
            raise ValueError(f"{value!r} is not a time with a zone, like 2026-11-22T10:00:00Z")
        return _milliseconds(parsed)
    raise TypeError("a time is an int in milliseconds, a datetime or a str like "
                    f"2026-11-22T10:00:00Z, not {value!r}")


def _end(value: Optional[Instant]) -> Union[None, int, str]:
    """An end of a range. A str may be all that the server takes: a local date, `today`."""
    return value if value is None or isinstance(value, str) else _milliseconds(value)


class _Now:
    """The time of readings that come without one. The readings of a device get different
    milliseconds: of two with the same, only one would count."""

    def __init__(self) -> None:
        self._last: Dict[str, int] = {}
        self.lock = threading.Lock()

    def of(self, device_id: str) -> int:
        now = time.time_ns() // 1_000_000
        with self.lock:
            if len(self._last) > 10_000:
                self._last = {k: last for k, last in self._last.items() if last >= now}
            last = self._last.get(device_id, 0)
            # A clock that was put back by more than that is right now.
            taken = last + 1 if now <= last < now + 60_000 else now
            self._last[device_id] = taken
            return taken


_now = _Now()


def _json(reading: ReadingLike) -> str:
    """A reading as the server takes it."""
    if isinstance(reading, Mapping):
        reading = Reading(**reading)
    elif not isinstance(reading, Reading):
        reading = Reading(*reading)
    for name in ("device_id", "region"):
        if not isinstance(getattr(reading, name), str):
            raise TypeError(f"{name} is a str, not {getattr(reading, name)!r}")
    temperature = reading.temperature_c
    if isinstance(temperature, bool) or not isinstance(temperature, SupportsFloat):
        raise TypeError(f"temperature_c is a number, not {temperature!r}")
    given = reading.timestamp
    timestamp = _now.of(reading.device_id) if given is None else _milliseconds(given)
    return json.dumps({
        "device_id": reading.device_id,
        "region": reading.region,
        "temperature_c": temperature if isinstance(temperature, int) else float(temperature),
        "timestamp": timestamp,
    }, separators=(",", ":"))


def _texts(readings: Iterable[ReadingLike]) -> List[str]:
    texts = []
    for index, reading in enumerate(readings):
        try:
            texts.append(_json(reading))
        except (TypeError, ValueError, OverflowError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"reading {index}: {error}") from error
    return texts


# Answers to requests


class _Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def _retry_after(reply: _Reply) -> Optional[float]:
    """The seconds in `retry-after`, which may also be a date."""
    value = (reply.headers.get("retry-after") or "").strip()
    if value.isdigit() and len(value) < 10:
        return min(float(value), RETRY_AFTER_MAX_S)
    try:
        until = email.utils.parsedate_to_datetime(value)
        seconds = (until - datetime.now(timezone.utc)).total_seconds()
    except (TypeError, ValueError, IndexError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def _rejections(items: Any) -> List[Rejected]:
    """The rejected items of an answer. What is no such item is left out, and then missed
    where they are counted."""
    found = []
    for item in items if isinstance(items, list) else []:
        index = item.get("index") if isinstance(item, dict) else None
        if isinstance(index, int) and index >= 0:
            reason, detail = str(item.get("reason", "")), str(item.get("detail", ""))
            found.append(Rejected(index, reason, detail))
    return found


def _problem(reply: _Reply) -> Problem:
    """What a status other than 2xx means. A proxy sends no problem+json."""
    try:
        document = json.loads(reply.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {}
    title = str(document.get("title") or http.client.responses.get(reply.status, "Unknown"))
    detail = str(document.get("detail") or "")
    if 300 <= reply.status < 400:
        detail = f"redirected to {reply.headers.get('location')}; give the client that URL"
    omitted = document.get("errors_omitted")
    return Problem(reply.status, str(document.get("type") or "about:blank"), title, detail,
                   _rejections(document.get("errors")),
                   omitted if isinstance(omitted, int) else 0)


def _document(reply: _Reply) -> Dict[str, Any]:
    """The JSON of a 2xx; anything else is raised."""
    if not 200 <= reply.status < 300:
        problem = _problem(reply)
        if reply.status in TEMPORARY:
            raise Unavailable(str(problem), problem, _retry_after(reply))
        raise problem
    try:
        document = json.loads(reply.body)
    except ValueError as error:
        raise Unavailable("the answer is not JSON: is this the URL of Isotherm?") from error
    if not isinstance(document, dict):
        raise Unavailable("the answer is not a JSON object: is this the URL of Isotherm?")
    return document


def _acknowledged(document: Dict[str, Any], count: int) -> Tuple[Sent, int]:
    """What an acknowledgement says, and how many rejected items it does not name. An
    answer that is none, like a hotspot's 200, acknowledges nothing."""
    rejected, omitted = _rejections(document.get("rejected")), document.get("rejected_omitted", 0)
    accepted = document.get("accepted")
    if document.get("ack") == "folded":
        accepted = sum(document.get(name, 0) for name in ("stored", "duplicates", "conflicts"))
    _check(rejected, omitted, accepted, count)
    waiting = document.get("waiting_for_clock", 0)
    return Sent(count - len(rejected) - omitted, rejected, 0, waiting), omitted


def _check(rejected: List[Rejected], omitted: Any, accepted: Any, count: int) -> None:
    """Whether an answer accounts for each of `count` readings."""
    indexes = {item.index for item in rejected}
    is_whole = isinstance(accepted, int) and isinstance(omitted, int) and omitted >= 0 and (
        len(indexes) == len(rejected) and all(index < count for index in indexes)
        and accepted >= 0 and accepted + len(rejected) + omitted == count)
    if not is_whole:
        raise Unavailable(f"the answer does not account for the {count} readings that were sent")


class _Pauses:
    """Exponential pauses with full jitter."""

    def __init__(self) -> None:
        self._bound = PAUSE_FIRST_S

    def next(self, retry_after: Optional[float] = None) -> float:
        pause = random.uniform(0, self._bound) + (retry_after or 0.0)
        self._bound = min(self._bound * 2, PAUSE_MAX_S)
        return pause


# The queue on disk

_SCHEMA = """
-- AUTOINCREMENT: an id is never used again, so no late DELETE can meet another reading.
CREATE TABLE readings (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE refused (id INTEGER PRIMARY KEY, body TEXT NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, refused_at_ms INTEGER NOT NULL);
CREATE TABLE lease (only INTEGER PRIMARY KEY CHECK (only = 1), owner TEXT NOT NULL,
    until_ms INTEGER NOT NULL);
INSERT INTO lease VALUES (1, '', 0);
PRAGMA user_version = 1;
"""


def _is_alive(owner: str) -> bool:
    """Whether the process of a lease may still run. (Elsewhere, signal 0 is a signal.)"""
    if os.name == "posix":
        try:
            os.kill(int(owner.split()[1]), 0)
        except ProcessLookupError:
            return False
        except (PermissionError, IndexError, ValueError, OverflowError):
            pass
    return True


class _Queue:
    """Readings in a file of SQLite, until the server has them. Each method is one
    transaction, so that a process may end at any point."""

    _connection: Optional[sqlite3.Connection] = None

    def __init__(self, path: Union[str, "os.PathLike[str]"], most: int):
        self.path, self.most = os.fspath(path), most
        self._id = uuid.uuid4().hex
        self.lock = threading.Lock()
        _queues.add(self)
        with self._used():
            pass

    @contextmanager
    def _used(self, begin: bool = False) -> Iterator[sqlite3.Connection]:
        with self.lock:
            try:
                connection = self._connection = self._connection or self._opened()
                if begin:
                    connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    if begin:
                        connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise QueueError(f"{self.path}: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        deadline = time.monotonic() + QUEUE_WAIT_S
        while True:
            connection = sqlite3.connect(self.path, timeout=QUEUE_WAIT_S, isolation_level=None,
                                         check_same_thread=False)
            try:
                self._prepare(connection)
                return connection
            except BaseException as error:
                connection.close()
                # To change the mode of the journal does not wait for others.
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise sqlite3.OperationalError("no write-ahead log is possible here")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = 1")
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > 1:
            raise sqlite3.OperationalError("a newer client wrote this queue")
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
        connection.execute("COMMIT")

    def close(self) -> None:
        """It is open again when it is used."""
        with self.lock:
            self._close()

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    __del__ = _close

    @staticmethod
    def _span(connection: sqlite3.Connection) -> Tuple[int, int]:
        # In one query, min and max would read the whole table.
        row = connection.execute("SELECT (SELECT min(id) FROM readings), "
                                 "(SELECT max(id) FROM readings)").fetchone()
        return (row[0] or 0, row[1] or 0)

    @staticmethod
    def _count(span: Tuple[int, int]) -> int:
        # They are removed in their order, so there are no gaps.
        return span[1] - span[0] + 1 if span[1] else 0

    def span(self) -> Tuple[int, int]:
        """The lowest and highest id, or zeros."""
        with self._used() as connection:
            return self._span(connection)

    def count(self) -> int:
        return self._count(self.span())

    def put(self, texts: Sequence[str]) -> None:
        with self._used(begin=True) as connection:
            if self._count(self._span(connection)) + len(texts) > self.most:
                raise QueueFull(f"{self.path} has no room for {len(texts)} more readings: "
                                f"it may have {self.most}")
            connection.executemany("INSERT INTO readings (body) VALUES (?)",
                                   ((text,) for text in texts))

    def _owner(self) -> str:
        return f"{self._id} {os.getpid()} {threading.get_ident()}"

    def claim(self) -> Optional[List[Tuple[int, str]]]:
        """The oldest readings, to be delivered; None while another process or thread
        delivers. The claim saves work: deliveries at the same time would count once, too."""
        with self._used() as connection:
            if self._span(connection) == (0, 0):
                return []
        with self._used(begin=True) as connection:
            now = time.time_ns() // 1_000_000
            owner, until = connection.execute("SELECT owner, until_ms FROM lease").fetchone()
            # Later than a lease can end: the clock was put back.
            if owner != self._owner() and now < until <= now + LEASE_MS and _is_alive(owner):
                return None
            connection.execute("UPDATE lease SET owner = ?, until_ms = ?",
                               (self._owner(), now + LEASE_MS))
            return connection.execute("SELECT id, body FROM readings ORDER BY id LIMIT ?",
                                      (BATCH_READINGS,)).fetchall()

    def release(self) -> None:
        with self._used(begin=True) as connection:
            self._release(connection)

    def _release(self, connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE lease SET until_ms = 0 WHERE owner = ?", (self._owner(),))

    def settle(self, ids: Sequence[int], rejected: Sequence[Rejected], is_last: bool) -> None:
        """Removes readings that were answered; keeps the rejected ones as refused."""
        now = time.time_ns() // 1_000_000
        with self._used(begin=True) as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO refused "
                "SELECT id, body, ?, ?, ? FROM readings WHERE id = ?",
                ((item.reason, item.detail, now, ids[item.index]) for item in rejected))
            connection.execute("DELETE FROM readings WHERE id BETWEEN ? AND ?",
                               (ids[0], ids[-1]))
            if rejected:
                connection.execute("DELETE FROM refused WHERE id <= (SELECT id FROM refused "
                                   "ORDER BY id DESC LIMIT 1 OFFSET ?)", (REFUSED_MAX,))
            if is_last:
                self._release(connection)

    def refused(self) -> List[Refused]:
        with self._used() as connection:
            rows = connection.execute("SELECT id, body, reason, detail, refused_at_ms "
                                      "FROM refused ORDER BY id").fetchall()
        found = []
        for number, body, reason, detail, at in rows:
            values = json.loads(body)
            if isinstance(values["timestamp"], str):
                values["timestamp"] = _parsed(values["timestamp"])
            found.append(Refused(number, Reading(**values), reason, detail,
                                 EPOCH + timedelta(milliseconds=at)))
        return found

    def forget(self, up_to: int) -> None:
        with self._used(begin=True) as connection:
            connection.execute("DELETE FROM refused WHERE id <= ?", (up_to,))


#: SQLite must not be open where a process forks: the child would believe that it has its
#: parent's locks. Queues are closed before, and open again when they are used.
_queues: "weakref.WeakSet[_Queue]" = weakref.WeakSet()
_forking: List[threading.Lock] = []


def _before_fork() -> None:
    global _forking
    _now.lock.acquire()
    held = [_now.lock]
    for queue in sorted(_queues, key=id):
        queue.lock.acquire()
        held.append(queue.lock)
        queue._close()
    _forking = held


def _after_fork() -> None:
    for lock in _forking:
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork,
                        after_in_child=_after_fork)


# The client


class Client:
    """Sends readings to Isotherm at `url`, and asks it. Threads may share a client.

    `queue` is the path of a file that keeps readings until they are delivered, at most
    `queue_max`; without one, or with an empty path, there is no queue. `timeout` bounds one request with its repetitions, in seconds, `attempts`
    their number, and `attempt_timeout` each of them. `token`, or else the variable
    ISOTHERM_TOKEN of the environment, is sent as `Authorization: Bearer`, and never logged.
    `tls` is for certificates that the system does not know."""

    def __init__(self, url: str, *, queue: Union[None, str, "os.PathLike[str]"] = None,
                 queue_max: int = 1_000_000, timeout: float = 60.0, attempts: int = 10,
                 attempt_timeout: float = 20.0, token: Optional[str] = None,
                 tls: Optional[ssl.SSLContext] = None):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the URL of a server, like http://gateway:3000")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("the URL of a server has no user, no query and no fragment")
        self.url = url.rstrip("/")
        self.timeout, self.attempts, self.attempt_timeout = timeout, attempts, attempt_timeout
        #: Why the background thread can't deliver at present.
        self.last_error: Optional[Exception] = None
        self._headers = {"accept": "application/json", "connection": "close",
                         "user-agent": f"isotherm-python/{__version__}"}
        token = os.environ.get("ISOTHERM_TOKEN") if token is None else token
        if token:
            if not (token.isascii() and token.isprintable()):
                raise ValueError("the token has characters that a header can't have")
            self._headers["authorization"] = f"Bearer {token}"
        self._tls = tls or (ssl.create_default_context() if parts.scheme == "https" else None)
        self._body_bytes_max = BATCH_BYTES
        self._thread: Optional[threading.Thread] = None
        self._stopping = threading.Event()
        self._queue = _Queue(queue, queue_max) if queue else None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def close(self) -> None:
        """Stops the background thread, and closes the queue's file."""
        self.stop()
        if self._queue:
            self._queue.close()

    # Sending

    def send(self, device_id: str, region: str, temperature_c: SupportsFloat,
             timestamp: Optional[Instant] = None) -> Sent:
        """Sends one reading, or puts it into the queue."""
        return self.send_many([Reading(device_id, region, temperature_c, timestamp)])

    def send_many(self, readings: Iterable[ReadingLike]) -> Sent:
        """Sends readings in their order, or puts all of them into the queue.

        Without a queue it returns when they are on the server's disk; with one, when they
        are on this machine's. If it raises, send all of them again: each counts once."""
        texts = _texts(readings)
        total = Sent()
        if self._queue:
            if texts:
                self._queue.put(texts)
            return Sent(queued=len(texts))
        try:
            url = self._address("readings")
            for start, _, sent in self._pieces(texts, lambda body: self._ask("POST", url, body)):
                total._add(sent, start)
        except IsothermError as error:
            error.sent = total
            raise
        return total

    def _pieces(self, texts: Sequence[str], ask: _Ask) -> Iterator[Tuple[int, int, Sent]]:
        """Posts readings in as few requests as the server takes. Yields for each request
        where its readings begin, how many they are, and what became of them."""
        start = 0
        while start < len(texts):
            count = self._fitting(texts, start)
            piece = texts[start:start + count]
            size = sum(map(len, piece)) + count + 1
            try:
                sent = self._outcome(piece, ask)
                if size > self._body_bytes_max // 2:
                    # Up again: the limit may be higher, or a connection had only broken.
                    self._body_bytes_max = min(BATCH_BYTES, self._body_bytes_max * 9 // 8)
            except Problem as problem:
                if problem.status != 413 or (count == 1 and size <= READING_BYTES_MAX):
                    raise
                if count > 1:
                    self._body_bytes_max = size // 2
                    continue
                sent = Sent(rejected=[Rejected(0, "too_large", problem.detail)])
            if sent.rejected:
                _log.warning("%d of %d readings were rejected, the first as %s",
                             len(sent.rejected), count, sent.rejected[0].reason)
            yield start, count, sent
            start += count

    def _fitting(self, texts: Sequence[str], start: int) -> int:
        """How many readings one request takes from `start` on: at least one."""
        count, size = 0, 2
        for text in texts[start:start + BATCH_READINGS]:
            size += len(text) + 1
            if count and size > self._body_bytes_max + 1:
                break
            count += 1
        return count

    def _outcome(self, texts: Sequence[str], ask: _Ask) -> Sent:
        """Posts one request. Where not all rejected items are named, asks for the others."""
        count = len(texts)
        try:
            document = ask(f"[{','.join(texts)}]".encode("ascii"))
            sent, omitted = _acknowledged(document, count)
        except Problem as problem:
            if problem.status != 422:
                raise
            sent, omitted = Sent(rejected=problem.errors), problem.errors_omitted
            _check(sent.rejected, omitted, 0, count)
        if not omitted or count == 1:
            return sent
        named = {item.index for item in sent.rejected}
        rest = [index for index in range(count) if index not in named]
        step = max(1, min(NAMED_MAX, count // 2))
        found = Sent(rejected=sent.rejected)
        for part in (rest[at:at + step] for at in range(0, len(rest), step)):
            again = self._outcome([texts[index] for index in part], ask)
            found.accepted += again.accepted
            found.waiting_for_clock += again.waiting_for_clock
            found.rejected += [replace(item, index=part[item.index]) for item in again.rejected]
        found.rejected.sort(key=lambda item: item.index)
        return found

    # The queue

    def _need_queue(self) -> _Queue:
        if self._queue is None:
            raise ValueError("this client has no queue: Client(url, queue=\"/path/queue.db\")")
        return self._queue

    def queued(self) -> int:
        """How many readings wait in the queue."""
        return self._need_queue().count()

    def refused(self) -> List[Refused]:
        """The readings of the queue that the server rejected, the newest 100,000."""
        return self._need_queue().refused()

    def forget_refused(self, up_to: int) -> None:
        """Deletes refused readings up to this id."""
        self._need_queue().forget(up_to)

    def _deliver(self, seconds: float) -> Optional[Sent]:
        """Delivers the oldest readings of the queue, with one attempt for each request.
        None if another process or thread is at it."""
        queue = self._need_queue()
        rows = queue.claim()
        if not rows:
            return None if rows is None else Sent()
        ids = [number for number, _ in rows]
        url, total = self._address("readings"), Sent()
        is_settled = False
        try:
            for start, count, sent in self._pieces(
                    [body for _, body in rows],
                    lambda body: self._once("POST", url, body, seconds)):
                is_settled = start + count == len(ids)
                queue.settle(ids[start:start + count], sent.rejected, is_settled)
                total._add(sent, start)
        except IsothermError as error:
            error.sent = total
            raise
        finally:
            if not is_settled:
                queue.release()
        return total

    def flush(self, timeout: Optional[float] = None) -> Sent:
        """Delivers what is in the queue now. Returns when nothing of it is left, also if
        another process delivered it. After `timeout` seconds: `Unavailable`. Without one,
        it goes on until the server is back. The indexes of `rejected` are in the order of
        delivery; `refused()` has the readings."""
        queue, total, pauses = self._need_queue(), Sent(), _Pauses()
        last, cause = queue.span()[1], None
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while 0 < queue.span()[0] <= last:
            sent: Optional[Sent] = None
            pause = 0.05
            try:
                sent = self._deliver(self._attempt(deadline))
            except IsothermError as error:
                total._add(error.sent or Sent(), total.accepted + len(total.rejected))
                error.sent = total
                if not isinstance(error, Unavailable):
                    raise
                cause, pause = error, pauses.next(error.retry_after)
            if sent is not None:
                total._add(sent, total.accepted + len(total.rejected))
                pauses, pause = _Pauses(), 0.0
            if time.monotonic() + pause > deadline and 0 < queue.span()[0] <= last:
                waiting = Unavailable(f"{queue.count()} readings are still queued: "
                                      f"{cause or 'there was no time for more'}",
                                      cause.problem if cause else None)
                waiting.sent = total
                raise waiting from cause
            time.sleep(pause)
        return total

    def start(self, interval: float = 1.0) -> None:
        """Delivers the queue in the background, every `interval` seconds."""
        self._need_queue()
        if self._thread is None or not self._thread.is_alive():
            self._stopping = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(interval, self._stopping),
                                            name="isotherm", daemon=True)
            self._thread.start()

    def stop(self, timeout: Optional[float] = None) -> None:
        """Ends the background thread after its request, if there is one. What is queued
        stays in the queue."""
        self._stopping.set()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self, interval: float, stopping: threading.Event) -> None:
        pauses, pause = _Pauses(), 0.0
        while not stopping.wait(pause):
            try:
                sent = self._deliver(self.attempt_timeout)
            except Exception as error:  # pylint: disable=broad-except
                if self.last_error is None:
                    _log.warning("readings stay queued: %s", error)
                self.last_error = error
                pause = pauses.next(getattr(error, "retry_after", None))
                continue
            if self.last_error is not None:
                _log.warning("readings are delivered again")
            self.last_error, pauses = None, _Pauses()
            is_full = sent and sent.accepted + len(sent.rejected) >= BATCH_READINGS
            pause = 0.0 if is_full else interval

    # Queries

    # `tz` is the zone of local dates in `from_` and `to`, and of steps of days: a name like
    # Europe/Berlin, or a POSIX rule. Without it, that of the server is meant.

    def regions(self, from_: Optional[Instant] = None, to: Optional[Instant] = None, *,
                limit: Optional[int] = None, tz: Optional[str] = None) -> Listing[Region]:
        """All regions in the order of their names."""
        url = self._address("regions", from_=from_, to=to, limit=limit, tz=tz)
        return Listing(self, url, "regions",
                       lambda item, coverage: Region._of(item, coverage=coverage))

    def region(self, name: str, from_: Optional[Instant] = None,
               to: Optional[Instant] = None, *, tz: Optional[str] = None) -> Region:
        """One region over all time, or over a range, which is widened to whole minutes."""
        document = self._ask("GET", self._address("regions", name, from_=from_, to=to, tz=tz))
        return Region._of(document, coverage=Coverage._take(document))

    def windows(self, region: str, from_: Optional[Instant] = None,
                to: Optional[Instant] = None, step: Optional[str] = None, *,
                tz: Optional[str] = None) -> Listing[Window]:
        """A region step by step, like `15m`, `1h`, `1d` or `1mo`."""
        url = self._address("regions", region, "windows", from_=from_, to=to, step=step, tz=tz)
        return Listing(self, url, "windows", lambda item, _: Window._of(item))

    def devices(self, region: Optional[str] = None, *,
                limit: Optional[int] = None) -> Listing[DeviceFigures]:
        """The devices of a region, or all, in the order of their names."""
        if region is None:
            url = self._address("devices", limit=limit)
            return Listing(self, url, "devices", lambda item, _: DeviceFigures._of(item))
        url = self._address("regions", region, "devices", limit=limit)
        return Listing(self, url, "devices",
                       lambda item, _: DeviceFigures._of({**item, "region": region}))

    def device(self, device_id: str) -> Device:
        """A device in all its regions, that of its newest reading first."""
        document = self._ask("GET", self._address("devices", device_id))
        regions = document.pop("regions", [])
        return Device._of(document, coverage=Coverage._take(document), regions=[
            DeviceFigures._of(item, device_id=device_id) for item in regions])

    def readings(self, device_id: str, from_: Optional[Instant] = None,
                 to: Optional[Instant] = None, *,
                 limit: Optional[int] = None,
                 tz: Optional[str] = None) -> Listing[StoredReading]:
        """The single readings of a device, of the last 24 hours by default."""
        url = self._address("devices", device_id, "readings", from_=from_, to=to, limit=limit,
                            tz=tz)
        return Listing(self, url, "readings", lambda item, _: StoredReading._of(item))

    def conflicts(self, from_: Optional[Instant] = None, to: Optional[Instant] = None, *,
                  limit: Optional[int] = None, tz: Optional[str] = None) -> Listing[Conflict]:
        """Readings that contradict a counted one."""
        url = self._address("conflicts", from_=from_, to=to, limit=limit, tz=tz)
        return Listing(self, url, "conflicts", lambda item, _: Conflict._of(item))

    def excursions(self, region: str, from_: Optional[Instant] = None,
                   to: Optional[Instant] = None, *, for_: Optional[str] = None,
                   gap: Optional[str] = None, limit: Optional[int] = None,
                   tz: Optional[str] = None) -> Listing[Excursion]:
        """When the region was outside its limits, of the last 7 days by default. `for_` is how
        long at least, and `gap` the longest pause that is none, like `20m`."""
        url = self._address("regions", region, "excursions", from_=from_, to=to, limit=limit,
                            tz=tz, more={"for": for_, "gap": gap})
        return Listing(self, url, "excursions", lambda item, _: Excursion._of(item))

    def rejections(self, *, device_id: Optional[str] = None, region: Optional[str] = None,
                   reason: Optional[str] = None,
                   limit: Optional[int] = None) -> Listing[Rejection]:
        """The last that was rejected, the newest first."""
        more = {"device_id": device_id, "region": region, "reason": reason}
        url = self._address("rejections", limit=limit, more=more)
        return Listing(self, url, "rejections", lambda item, _: Rejection._of(item))

    def status(self) -> Dict[str, Any]:
        """How much the server holds and what that takes, as the interface describes it."""
        return self._ask("GET", self._address("status"))

    # Limits and corrections

    def limits(self, region: str) -> Limits:
        """The limits of a region."""
        return Limits._of(self._ask("GET", self._address("regions", region, "limits")))

    def set_limits(self, region: str, *, low_c: Optional[float] = None,
                   high_c: Optional[float] = None, for_: Optional[str] = None,
                   plausible_low_c: Optional[float] = None,
                   plausible_high_c: Optional[float] = None) -> Limits:
        """Sets them in the place of what was set: what is None is then no limit."""
        given = {"low_c": low_c, "high_c": high_c, "for": for_,
                 "plausible_low_c": plausible_low_c, "plausible_high_c": plausible_high_c}
        body = json.dumps({name: value for name, value in given.items() if value is not None})
        url = self._address("regions", region, "limits")
        return Limits._of(self._ask("PUT", url, body.encode()))

    def delete_limits(self, region: str) -> None:
        """Sets no limits. What was counted stays."""
        self._ask("DELETE", self._address("regions", region, "limits"))

    def corrections(self, from_: Optional[Instant] = None, to: Optional[Instant] = None, *,
                    limit: Optional[int] = None,
                    tz: Optional[str] = None) -> Listing[Correction]:
        """The corrections on record, in the order of their readings' times."""
        url = self._address("corrections", from_=from_, to=to, limit=limit, tz=tz)
        return Listing(self, url, "corrections", lambda item, _: Correction._of(item))

    def correct(self, correction: Mapping[str, Any]) -> Dict[str, Any]:
        """Posts a correction, with the fields that the interface describes, and returns the
        answer. A long one is done in parts: while `done` is false in the answer, post the same
        again with its `from`. It can be repeated: what is corrected already stays."""
        body = json.dumps({name: _end(value) if name in ("timestamp", "from", "to") else value
                           for name, value in correction.items()})
        return self._ask("POST", self._address("corrections"), body.encode())

    # Requests

    def _address(self, *names: str, from_: Optional[Instant] = None,
                 to: Optional[Instant] = None, step: Optional[str] = None,
                 limit: Optional[int] = None, tz: Optional[str] = None,
                 more: Optional[Mapping[str, Optional[str]]] = None) -> str:
        for name in names:
            if name in ("", ".", ".."):
                raise ValueError(f"{name!r} is not a name")
        url = "/".join([self.url, "v1", *(quote(name, safe="") for name in names)])
        given = {"from": _end(from_), "to": _end(to), "step": step, "limit": limit,
                 "tz": tz, **(more or {})}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        return f"{url}?{query}" if query else url

    def _attempt(self, deadline: float) -> float:
        """How long one attempt may take. A last one gets a second."""
        return min(self.attempt_timeout, max(1.0, deadline - time.monotonic()))

    def _ask(self, method: str, url: str, body: Optional[bytes] = None) -> Dict[str, Any]:
        """One request, again and again while that can help."""
        deadline = time.monotonic() + self.timeout
        pauses = _Pauses()
        for left in reversed(range(max(1, self.attempts))):
            try:
                return self._once(method, url, body, self._attempt(deadline))
            except Unavailable as error:
                pause = pauses.next(error.retry_after)
                is_futile = isinstance(error.__cause__, ssl.SSLCertVerificationError)
                if not left or is_futile or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, url: str, body: Optional[bytes],
              seconds: float) -> Dict[str, Any]:
        try:
            return _document(self._exchange(method, url, body, seconds))
        except (OSError, http.client.HTTPException) as error:
            text = str(error) or type(error).__name__
            raise Unavailable(f"no answer from {self.url}: {text}") from error

    def _exchange(self, method: str, url: str, body: Optional[bytes],
                  seconds: float) -> _Reply:
        """One request on a connection of its own, which no fork and no thread shares."""
        parts, deadline = urlsplit(url), time.monotonic() + seconds
        host = parts.hostname or ""
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(host, parts.port, timeout=seconds,
                                                     context=self._tls)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=seconds)
        headers = {**self._headers, **({"content-type": "application/json"} if body else {})}
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            connection.connect()
            try:
                with suppress(ConnectionError):
                    # It may have answered before it read all: 413.
                    connection.request(method, target, body, headers)
                return self._reply(connection, deadline)
            except ConnectionError:
                if body and len(body) > CUT_BYTES_MIN:
                    raise Problem(413, title="Cut off", detail="the connection broke while a "
                                  f"request of {len(body)} bytes was sent") from None
                raise
        finally:
            connection.close()

    @staticmethod
    def _reply(connection: http.client.HTTPConnection, deadline: float) -> _Reply:
        transport = connection.sock
        with connection.getresponse() as response:
            parts = []
            while not response.isclosed():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("the answer takes too long")
                if transport:
                    transport.settimeout(left)
                part = response.read1(65536)
                if not part:
                    break  # Before Python 3.12 it stays open.
                parts.append(part)
            if response.length:
                raise http.client.IncompleteRead(b"".join(parts), response.length)
            return _Reply(response.status, response.headers, b"".join(parts))


# The command line


def _instant(text: str) -> Instant:
    if text.isdigit():
        return int(text)
    parsed = _parsed(text)
    if parsed is None or parsed.utcoffset() is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither milliseconds nor RFC 3339")
    return parsed


#: The queries of the command line: path, list in the answer, whether they take a range.
_QUERIES: Dict[str, Tuple[str, Optional[str], bool, str]] = {
    "region": ("regions/{}", None, True, "one region"),
    "regions": ("regions", "regions", True, "all regions"),
    "windows": ("regions/{}/windows", "windows", True, "a region step by step"),
    "devices": ("regions/{}/devices", "devices", False, "the devices of a region"),
    "device": ("devices/{}", None, False, "one device"),
    "readings": ("devices/{}/readings", "readings", True, "the readings of a device"),
    "conflicts": ("conflicts", "conflicts", True, "readings that contradict counted ones"),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="isotherm", description="Sends readings to Isotherm, and asks it. "
        "Answers are JSON, one object a line.",
        epilog="Exit status: 0 done (queued, where there is a queue), 1 rejected readings, "
        "2 wrong use or a refused request, 75 try again later. The token is taken from "
        "ISOTHERM_TOKEN.")
    parser.add_argument("--url", default=os.environ.get("ISOTHERM_URL", "http://127.0.0.1:3000"),
                        help="the server (ISOTHERM_URL)")
    parser.add_argument("--queue", default=os.environ.get("ISOTHERM_QUEUE"), metavar="FILE",
                        help="keeps readings until they are delivered (ISOTHERM_QUEUE)")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS",
                        help="how long to try (30)")
    commands = parser.add_subparsers(dest="command", required=True)
    send = commands.add_parser("send", help="one reading; or, without arguments, readings from "
                               "the standard input, a JSON object a line")
    send.add_argument("reading", nargs="*", metavar="DEVICE REGION TEMPERATURE")
    send.add_argument("--timestamp", type=_instant, help="milliseconds or RFC 3339; now")
    commands.add_parser("flush", help="delivers the queue")
    commands.add_parser("refused", help="readings of the queue that were rejected")
    for name, (path, _, has_range, what) in _QUERIES.items():
        command = commands.add_parser(name, help=what)
        if "{}" in path:
            command.add_argument("name")
        if has_range:
            command.add_argument("--from", dest="from_", type=_instant)
            command.add_argument("--to", type=_instant)
        if name == "windows":
            command.add_argument("--step")
    return parser


def _send(client: Client, options: argparse.Namespace) -> int:
    readings: List[ReadingLike]
    if options.reading:
        if len(options.reading) != 3:
            raise ValueError("send takes DEVICE REGION TEMPERATURE, or nothing")
        device_id, region, temperature = options.reading
        readings = [Reading(device_id, region, float(temperature), options.timestamp)]
    else:
        readings = []
        for line in filter(str.strip, sys.stdin):
            reading = json.loads(line)
            if not isinstance(reading, dict):
                raise ValueError(f"{line.strip()!r} is not a JSON object")
            if isinstance(reading.get("timestamp"), str):
                reading["timestamp"] = _instant(reading["timestamp"])
            readings.append(reading)
    sent = client.send_many(readings)
    if client._queue:
        try:
            sent = client.flush(options.timeout)
        except Unavailable:
            return 0  # They are on disk: the next call delivers them.
    return _report(sent)


def _report(sent: Sent) -> int:
    for item in sent.rejected:
        print(f"reading {item.index}: {item.reason}: {item.detail}", file=sys.stderr)
    return 1 if sent.rejected else 0


def _query(client: Client, options: argparse.Namespace) -> int:
    path, key, _, _ = _QUERIES[options.command]
    names = [options.name if name == "{}" else name for name in path.split("/")]
    given = {name: getattr(options, name, None) for name in ("from_", "to", "step")}
    url = client._address(*names, **given)
    if key is None:
        print(json.dumps(client._ask("GET", url)))
        return 0
    items = Listing(client, url, key, lambda item, _: item)
    for item in items:
        print(json.dumps(item))
    if not items.coverage.complete:
        print(f"isotherm: this is not all, as of {items.coverage.as_of}", file=sys.stderr)
    return 0


def _command(client: Client, options: argparse.Namespace) -> int:
    if options.command == "send":
        return _send(client, options)
    if options.command == "flush":
        return _report(client.flush(options.timeout))
    if options.command != "refused":
        return _query(client, options)
    for item in client.refused():
        print(json.dumps({**item._asdict(), "reading": item.reading._asdict()}, default=str))
    return 0


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command line: `python isotherm.py --help`."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="isotherm: %(message)s")
    try:
        with Client(options.url, queue=options.queue, timeout=options.timeout) as client:
            status = _command(client, options)
            sys.stdout.flush()
            return status
    except BrokenPipeError:  # Its reader, like `head`, has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Unavailable, QueueError) as error:
        print(f"isotherm: {error}", file=sys.stderr)
        return 75
    except (Problem, ValueError, TypeError, argparse.ArgumentTypeError) as error:
        print(f"isotherm: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
