"""Tests of the client against a running service, which ISOTHERM_URL names. It must be
the embedded runtime with `--faults`; ISOTHERM_SMALL_URL is another one that takes small
bodies only. `cargo test --workspace --test it client::` starts both.
"""

import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import uuid
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import isotherm
from isotherm import (Client, IsothermError, Problem, QueueError, QueueFull, Reading,
                      Unavailable)

URL = os.environ["ISOTHERM_URL"]
SMALL_URL = os.environ["ISOTHERM_SMALL_URL"]
HERE = os.path.dirname(os.path.abspath(__file__))
KILLS = int(os.environ.get("ISOTHERM_CLIENT_KILLS", "12"))
isotherm._log.setLevel("CRITICAL")


def set_faults(*rules):
    plan = json.dumps({"seed": 1, "rules": rules}).encode()
    url = f"{URL}/.well-known/isotherm-host/faults"
    with urlopen(Request(url, plan, method="PUT"), timeout=10) as answer:
        assert answer.status == 204


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def now_ms():
    return time.time_ns() // 1_000_000


def some(count, region, device=None, start=None):
    """Readings of a device, one a millisecond, with temperatures that are exact."""
    device, start = device or unique("d"), start or now_ms() - 60_000
    return [Reading(device, region, i % 400 / 8, start + i) for i in range(count)]


def milli(readings):
    return sum(round(r.temperature_c * 1000) for r in readings)


class Stub(ThreadingHTTPServer):
    """A server that answers by a function of method, path and body."""

    daemon_threads = True

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            self.server.seen.append((self.path, self.headers, body))
            status, headers, content = self.server.script(self.command, self.path, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = handle_any

        def log_message(self, *_):
            pass

    def __init__(self, script, handler=Handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.script, self.seen = script, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        pass


@contextmanager
def stub(script, handler=Stub.Handler):
    server = Stub(script, handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(*replies):
    """A script of replies one after the other; the last one stays."""
    left = list(replies)

    def script(_method, _path, body):
        reply = left.pop(0) if len(left) > 1 else left[0]
        return reply(body) if callable(reply) else reply
    return script


def problem(status, headers=None, **fields):
    document = {"type": "urn:isotherm:problem:x", "title": "T", "status": status, "detail": "D"}
    content = json.dumps({**document, **fields}).encode()
    return (status, headers or {}, content)


def accepted(body):
    count = len(json.loads(body))
    return (202, {}, json.dumps({"ack": "journaled", "accepted": count, "rejected": []}).encode())


class Case(unittest.TestCase):
    maxDiff = None

    def settled(self, client, region, seconds=60):
        """The figures of a region, once all that was acknowledged is counted."""
        deadline = time.monotonic() + seconds
        while True:
            found = client.region(region)
            if found.coverage.complete or time.monotonic() > deadline:
                self.assertTrue(found.coverage.complete, found)
                return found
            time.sleep(0.1)

    def assert_counted(self, region, readings):
        """Each of these readings, and no other, is counted exactly once."""
        found = self.settled(Client(URL), region)
        self.assertEqual((found.count, found.sum_millicelsius), (len(readings), milli(readings)))
        self.assertEqual(found.conflicts, 0)


class WithFaults(Case):
    def setUp(self):
        self.addCleanup(set_faults)


class WithQueue(WithFaults):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = os.path.join(self.directory, "queue.db")

    def client(self, url=URL, **options):
        client = Client(url, queue=self.path, **options)
        self.addCleanup(client.close)
        return client

    def rows(self, statement):
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(statement).fetchall()


class Values(Case):
    def test_times(self):
        zone = timezone(timedelta(hours=2))
        at = isotherm._milliseconds
        self.assertEqual(at(datetime(2026, 1, 1, 2, 0, 0, 1_999, zone)), 1_767_225_600_001)
        self.assertEqual(at(1_767_225_600_001), 1_767_225_600_001)
        # Numbers that look like seconds are refused by the server.
        self.assertEqual(at(datetime(1970, 1, 2, tzinfo=timezone.utc)), "1970-01-02T00:00:00.000Z")
        with self.assertRaisesRegex(ValueError, "no time zone"):
            at(datetime(2026, 1, 1))
        for text in ("2026-01-01T00:00:00.001Z", "2026-01-01T02:00:00.001+02:00"):
            self.assertEqual(at(text), 1_767_225_600_001)
        for text in ("2026-01-01T00:00:00", "2026-01-01", "yesterday", ""):
            with self.assertRaises(ValueError):
                at(text)
        for wrong in (1.5, True, [], {}):
            with self.assertRaises(TypeError):
                at(wrong)

    def test_wrong_types_are_named_before_anything_is_sent(self):
        client = Client("http://127.0.0.1:9")
        good = Reading("d", "r", 1.0)
        for wrong, kind in [
            (Reading(5, "r", 1.0), TypeError), (Reading("d", None, 1.0), TypeError),
            (Reading("d", "r", "4.5"), TypeError), (Reading("d", "r", True), TypeError),
            (Reading("d", "r", None), TypeError), (Reading("d", "r", 1j), TypeError),
            (Reading("d", "r", 1.0, 1.5), TypeError), (Reading("d", "r", 1.0, "now"), ValueError),
            (Reading("d", "r", 1.0, datetime(2026, 1, 1)), ValueError),
            ({"device_id": "d", "region": "r", "temperature_c": 1.0, "unit": "F"}, TypeError),
            (("d", "r"), TypeError), (7, TypeError),
        ]:
            with self.subTest(wrong=wrong), self.assertRaisesRegex(kind, "^reading 1: "):
                client.send_many([good, wrong])
        with self.assertRaises(TypeError):
            client.send("d", "r", "warm")

    def test_numbers_are_written_exactly(self):
        def written(value):
            return json.loads(isotherm._json(Reading("d", "r", value, 5)),
                              parse_float=str, parse_int=str)["temperature_c"]
        self.assertEqual([written(v) for v in (4, 0.1, -1e-7, Decimal("21.125"))],
                         ["4", "0.1", "-1e-07", "21.125"])

    def test_readings_of_a_device_never_share_a_millisecond(self):
        times = [json.loads(t)["timestamp"] for t in isotherm._texts([("d", "r", 1.0)] * 500)]
        self.assertEqual(len(set(times)), 500)
        self.assertLess(max(times) - now_ms(), 1_000)

    def test_a_clock_that_was_put_back_is_followed(self):
        taken = isotherm._Now()
        taken._last["d"] = now_ms() + 3_600_000
        self.assertAlmostEqual(taken.of("d"), now_ms(), delta=1_000)

    def test_retry_after(self):
        def seconds(value):
            headers = isotherm.http.client.HTTPMessage()
            headers["retry-after"] = value
            return isotherm._retry_after(isotherm._Reply(503, headers, b""))
        self.assertEqual((seconds("7"), seconds("99999")), (7.0, 300.0))
        later = datetime.now(timezone.utc) + timedelta(seconds=30)
        self.assertAlmostEqual(seconds(format_datetime(later, usegmt=True)), 30, delta=2)
        self.assertEqual(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), 0.0)
        for odd in ("", "soon", "-5", "1.5", "9" * 40):
            self.assertIsNone(seconds(odd))

    def test_pauses_grow_to_a_bound_and_differ(self):
        for _ in range(50):
            pauses = isotherm._Pauses()
            bounds = [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]
            for bound in bounds:
                self.assertLessEqual(pauses.next(), bound)
        self.assertGreaterEqual(isotherm._Pauses().next(5.0), 5.0)
        self.assertGreater(len({isotherm._Pauses().next() for _ in range(50)}), 40)

    def test_urls(self):
        for wrong in ("gateway:3000", "ftp://gateway", "http://", "http://u:p@gateway",
                      "http://gateway/?a=b", "http://gateway/#x"):
            with self.assertRaises(ValueError):
                Client(wrong)
        client = Client("http://[::1]:3000/a/b/")
        self.assertEqual(client._address("regions", "a/b", from_=0),
                         "http://[::1]:3000/a/b/v1/regions/a%2Fb?from=0")
        for name in ("", ".", ".."):
            with self.assertRaises(ValueError):
                client.region(name)

    def test_methods_of_the_queue_need_one(self):
        client = Client(URL)
        for call in (client.flush, client.start, client.refused, client.queued):
            with self.assertRaisesRegex(ValueError, "no queue"):
                call()


class Retries(Case):
    def send(self, server, **options):
        return Client(server.url, **options).send("d", "r", 1.0, 5)

    def test_it_tries_again_and_waits_as_long_as_it_is_told(self):
        away = problem(503, {"retry-after": "1"})
        with stub(answering(problem(408), problem(429), problem(502), away, accepted)) as server:
            started = time.monotonic()
            self.assertEqual(self.send(server).accepted, 1)
            self.assertGreaterEqual(time.monotonic() - started, 1.0)
            self.assertEqual(len(server.seen), 5)
            self.assertEqual(len({body for _, _, body in server.seen}), 1)

    def test_attempts_are_bounded_in_number_and_in_time(self):
        with stub(answering(problem(503))) as server:
            with self.assertRaises(Unavailable) as raised:
                self.send(server, attempts=3)
            self.assertEqual(len(server.seen), 3)
            self.assertEqual(raised.exception.problem.status, 503)
        with stub(answering(problem(503, {"retry-after": "60"}))) as server:
            started = time.monotonic()
            with self.assertRaises(Unavailable):
                self.send(server, timeout=2)
            self.assertLess(time.monotonic() - started, 30)
        started = time.monotonic()
        with self.assertRaises(Unavailable):
            Client("http://127.0.0.1:9", timeout=1).send("d", "r", 1.0)
        self.assertLess(time.monotonic() - started, 10)

    def test_other_refusals_are_raised_at_once(self):
        for status in (400, 401, 403, 404, 405, 415):
            with stub(answering(problem(status))) as server:
                with self.assertRaises(Problem) as raised:
                    self.send(server)
                error = raised.exception
                self.assertEqual((error.status, error.type, error.title, error.detail),
                                 (status, "urn:isotherm:problem:x", "T", "D"))
                self.assertEqual(len(server.seen), 1)
        html = (404, {"content-type": "text/html"}, b"<h1>nginx</h1>")
        with stub(answering(html)) as server, self.assertRaisesRegex(Problem, "404 Not Found"):
            self.send(server)
        odd = problem(400, errors=["x", {"index": "1"}, {"index": True}])
        with stub(answering(odd)) as server, self.assertRaises(Problem):
            self.send(server)

    def test_a_redirect_is_not_followed(self):
        moved = (301, {"location": "https://elsewhere/"}, b"")
        with stub(answering(moved)) as server:
            with self.assertRaisesRegex(Problem, "elsewhere"):
                self.send(server)
            self.assertEqual(len(server.seen), 1)

    def test_an_answer_that_is_no_acknowledgement_acknowledges_nothing(self):
        def ack(**fields):
            document = {"ack": "journaled", "accepted": 1, "rejected": [], **fields}
            return (200, {}, json.dumps(document).encode())
        item = {"index": 0, "reason": "too_old", "detail": ""}
        for reply in [(200, {}, b"<html>Log in to the hotspot</html>"), (200, {}, b""),
                      (200, {}, b"[]"), (200, {}, b"{}"), (204, {}, b""), (200, {}, b"\xff"),
                      (200, {"content-length": "500"}, b'{"ack":'), ack(accepted=2),
                      ack(accepted=0), ack(accepted="1"), ack(rejected=[item]),
                      ack(accepted=0, rejected=[{**item, "index": 3}]), ack(accepted=None),
                      ack(ack="folded"), problem(422, errors=[]),
                      problem(422, errors=[item, item])]:
            with self.subTest(reply=reply), stub(answering(reply)) as server:
                with self.assertRaises(Unavailable):
                    self.send(server, attempts=1)
        with stub(answering(ack(rejected=[item], accepted=0, more=7))) as server:
            self.assertEqual(self.send(server).rejected[0].reason, "too_old")

    def test_an_answer_that_drips_is_given_up(self):
        class Dripping(Stub.Handler):
            def do_POST(self):
                self.server.seen.append(self.path)
                self.send_response(200)
                self.end_headers()
                for _ in range(100):
                    self.wfile.write(b" ")
                    time.sleep(0.1)
        with stub(None, Dripping) as server:
            started = time.monotonic()
            with self.assertRaises(Unavailable):
                self.send(server, attempts=1, attempt_timeout=1)
            self.assertLess(time.monotonic() - started, 8)

    def test_what_was_accepted_before_a_failure_is_told(self):
        with stub(answering(accepted, problem(401))) as server:
            with self.assertRaises(Problem) as raised:
                Client(server.url).send_many(some(15_000, "r"))
            self.assertEqual(raised.exception.sent.accepted, 10_000)

    def test_the_token_goes_into_the_header_and_nowhere_else(self):
        with stub(answering(accepted)) as server:
            client = Client(server.url, token="s3cret")
            client.send("d", "r", 1.0)
            self.assertEqual(server.seen[0][1]["authorization"], "Bearer s3cret")
            self.assertNotIn("s3cret", repr(client))
            self.assertNotIn("s3cret", server.seen[0][0])

    def test_the_token_may_come_from_the_environment_and_is_in_no_message(self):
        with stub(answering(accepted)) as server:
            with unittest.mock.patch.dict(os.environ, {"ISOTHERM_TOKEN": "fr0m-env"}):
                Client(server.url).send("d", "r", 1.0)
                Client(server.url, token="given").send("d", "r", 1.0)
            Client(server.url, token="").send("d", "r", 1.0)
            sent = [headers["authorization"] for _, headers, _ in server.seen]
            self.assertEqual(sent, ["Bearer fr0m-env", "Bearer given", None])
        with self.assertRaises(ValueError) as raised:
            Client("http://gateway", token="s3cret\r\nx: y")
        self.assertNotIn("s3cret", str(raised.exception))

    def test_an_empty_path_is_no_queue(self):
        with stub(answering(accepted)) as server:
            self.assertEqual(Client(server.url, queue="").send("d", "r", 1.0).queued, 0)

    def test_bodies_that_are_too_large_are_split_in_their_order(self):
        taken = []

        def script(_method, _path, body):
            if len(body) > 5_000:
                return problem(413)
            taken.extend(json.loads(body))
            return accepted(body)
        readings = some(1_000, "r")
        with stub(script) as server:
            self.assertEqual(Client(server.url).send_many(readings).accepted, 1_000)
        self.assertEqual([r["timestamp"] for r in taken], [r.timestamp for r in readings])
        with stub(answering(problem(413))) as server:
            with self.assertRaises(Problem):  # A small reading is not what is too large.
                self.send(server)
            long = Client(server.url).send_many([("d" * 2_000, "r", 1.0)])
            self.assertEqual(long.rejected[0].reason, "too_large")

    def test_a_request_that_is_cut_off_is_tried_in_smaller_parts(self):
        class Cutting(Stub.Handler):
            def do_POST(self):
                length = int(self.headers["content-length"])
                if length <= 300_000:
                    return self.handle_any()
                # An RST, so that the sender can't read an answer either.
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET,
                                           socket.SO_LINGER, linger)
                self.rfile.close()
                self.connection.close()
        readings = some(10_000, "r")
        with stub(answering(accepted), Cutting) as server:
            self.assertEqual(Client(server.url).send_many(readings).accepted, 10_000)
            sent = [r for _, _, body in server.seen for r in json.loads(body)]
        self.assertEqual([r["timestamp"] for r in sent], [r.timestamp for r in readings])


class Answers(Case):
    def answered(self, *documents):
        return stub(answering(*[(200, {}, json.dumps(d).encode()) for d in documents]))

    def test_unknown_fields_are_kept_and_missing_ones_are_none(self):
        with self.answered({"region": "r", "count": 2, "humidity": 40, "newest": "+10000-01-01"
                            "T00:00:00Z", "as_of": "2026-01-01T00:00:00.000Z", "stale": True,
                            "unfolded_entries": 0}) as server:
            region = Client(server.url).region("r")
        self.assertEqual((region.extra, region.average_c), ({"humidity": 40}, None))
        self.assertIsNone(region.newest)
        self.assertTrue(region.coverage.stale)
        self.assertFalse(region.coverage.complete)
        self.assertEqual(region.coverage.as_of, datetime(2026, 1, 1, tzinfo=timezone.utc))

    def test_pages_are_fetched_when_they_are_reached_and_their_worst_is_told(self):
        first = {"regions": [{"region": "a"}], "next": "?after=a", "complete": True,
                 "unfolded_entries": 0, "unfolded_readings": 0, "stale": False}
        last = {"regions": [{"region": "b"}], "complete": False, "stale": True,
                "unfolded_entries": 1, "unfolded_readings": 5}
        with self.answered(first, last) as server:
            regions = Client(f"{server.url}/pre/fix").regions(limit=1)
            self.assertEqual((next(regions).region, len(server.seen)), ("a", 1))
            self.assertTrue(regions.coverage.complete)
            self.assertEqual([r.region for r in regions], ["b"])
            self.assertEqual([path for path, _, _ in server.seen],
                             ["/pre/fix/v1/regions?limit=1", "/pre/fix/v1/regions?after=a"])
            coverage = regions.coverage
            self.assertEqual((coverage.complete, coverage.stale, coverage.unfolded_readings),
                             (False, True, 5))

    def test_a_page_that_fails_can_be_asked_for_again(self):
        first = {"regions": [{"region": "a"}], "next": "?after=a"}
        replies = [(200, {}, json.dumps(d).encode()) for d in (first, {"regions": [
            {"region": "b"}]})]
        with stub(answering(replies[0], problem(503), replies[1])) as server:
            regions = Client(server.url, attempts=1).regions()
            self.assertEqual(next(regions).region, "a")
            with self.assertRaises(Unavailable):
                next(regions)
            self.assertEqual([r.region for r in regions], ["b"])

    def test_a_next_page_elsewhere_is_not_asked_for(self):
        for following in ("https://elsewhere/v1/regions", "//elsewhere/", "/v1/regions"):
            with self.answered({"regions": [], "next": following}) as server:
                with self.assertRaises(Unavailable):
                    Client(server.url, token="s").regions()
                self.assertEqual(len(server.seen), 1)

    def test_other_documents_are_no_lists(self):
        for document in ({}, {"regions": {}}, {"regions": [5]}):
            with self.answered(document) as server, self.assertRaises(Unavailable):
                Client(server.url).regions()


class Service(WithFaults):
    def test_what_is_sent_is_counted_once(self):
        client, region = Client(URL), unique("r")
        readings = some(25_000, region)
        self.assertEqual(client.send_many(readings).accepted, 25_000)
        self.assertEqual(client.send_many(readings[:100]).accepted, 100)
        self.assert_counted(region, readings)

    def test_rejected_readings_come_back_with_their_places(self):
        client, region = Client(URL), unique("r")
        sent = client.send_many([("ok", region, 1.0), ("no name", region, 1.0),
                                 ("ok", region, float("nan")), ("ok", region, 5_000),
                                 ("ok", region, 1.0, 1_700_000_000), ("\ud800", region, 1),
                                 ("ok", region, 1.0, now_ms() + 3_600_000),
                                 ("ok", region, 1.0, datetime(1971, 1, 1, tzinfo=timezone.utc)),
                                 ("ok", region, 2.5)])
        self.assertEqual(sent.accepted, 2)
        self.assertEqual([(r.index, r.reason) for r in sent.rejected], [
            (1, "invalid_device_id"), (2, "malformed"), (3, "temperature_out_of_range"),
            (4, "timestamp_in_seconds"), (5, "wrong_type"), (6, "in_future"), (7, "too_old")])
        self.assertTrue(all(item.detail for item in sent.rejected))
        self.assertEqual(self.settled(client, region).count, 2)

    def test_all_rejected_is_no_exception(self):
        sent = Client(URL).send("no name", "r", 1.0)
        self.assertEqual((sent.accepted, sent.rejected[0].reason), (0, "invalid_device_id"))

    def test_every_rejected_reading_is_named(self):
        client, region = Client(URL), unique("r")
        mixed = [r._replace(temperature_c=9_999) if i % 3 else r
                 for i, r in enumerate(some(6_000, region))]
        sent = client.send_many(mixed)
        self.assertEqual(sent.accepted, 2_000)
        self.assertEqual([r.index for r in sent.rejected], [i for i in range(6_000) if i % 3])
        wrong = client.send_many([r._replace(temperature_c=9_999) for r in mixed])
        self.assertEqual([r.index for r in wrong.rejected], list(range(6_000)))
        self.assert_counted(region, mixed[::3])

    def test_a_server_that_takes_small_bodies(self):
        client, region = Client(SMALL_URL), unique("r")
        readings = some(5_000, region)
        self.assertEqual(client.send_many(readings + [Reading("d" * 50_000, region, 1)]).accepted,
                         5_000)
        found = self.settled(client, region)
        self.assertEqual((found.count, found.sum_millicelsius), (5_000, milli(readings)))

    def test_figures(self):
        client, region, device = Client(URL), unique("r"), unique("d")
        minute = now_ms() // 60_000 * 60_000 - 600_000
        client.send_many([Reading(device, region, 4.5, minute),
                          Reading("other", region, 3.25, datetime.fromtimestamp(
                              minute / 1000 + 90, timezone(timedelta(hours=-5)))),
                          Reading(device, region, 9.0, minute)])
        found = self.settled(client, region)
        self.assertEqual((found.region, found.count, found.average_c, found.min_c, found.max_c,
                          found.sum_millicelsius, found.devices, found.conflicts),
                         (region, 2, 3.875, 3.25, 4.5, 7_750, 2, 1))
        self.assertEqual((found.oldest - isotherm.EPOCH) // timedelta(milliseconds=1), minute)
        self.assertIsNotNone(found.coverage.as_of)
        self.assertEqual(found.coverage.quarantined_readings, 0)
        part = client.region(region, minute, minute + 60_000)
        self.assertEqual((part.count, part.from_), (1, found.oldest))
        windows = client.windows(region, minute, minute + 180_000, "1m")
        self.assertEqual(windows.extra["step_ms"], 60_000)
        self.assertEqual([w.count for w in windows], [1, 1, 0])
        one = client.device(device)
        self.assertEqual((one.temperature_c, one.regions[0].region, one.regions[0].count),
                         (4.5, region, 1))
        self.assertEqual([(r.temperature_c, r.region) for r in client.readings(device)],
                         [(4.5, region)])
        conflict = [c for c in client.conflicts() if c.device_id == device][0]
        self.assertEqual((conflict.temperature_c, conflict.standing_temperature_c), (9.0, 4.5))
        self.assertFalse(found.extra or one.extra or conflict.extra or part.extra)

    def test_what_is_not_there(self):
        for call in (Client(URL).region, Client(URL).devices, Client(URL).device):
            with self.assertRaises(Problem) as raised:
                call(unique("none"))
            self.assertEqual(raised.exception.status, 404)
        with self.assertRaises(Problem):
            Client(URL).windows("r", 1_767_225_600_000, 1_767_225_600_000 - 1, "1h")

    def pages(self, url):
        """Lists of many pages, against the same in one."""
        client, region = Client(url), unique("r")
        start = now_ms() - 120_000
        devices = [f"{region}-{i}" for i in range(25)]
        client.send_many([Reading(d, f"{region}{i % 3}", 1.0 + i, start + i)
                          for i, d in enumerate(devices)])
        client.send_many(some(150, f"{region}0", devices[0], start + 1_000))
        client.send_many([r._replace(temperature_c=99.0)
                          for r in some(25, f"{region}0", devices[0], start + 1_000)])
        self.settled(client, f"{region}0")
        regions = client.regions(limit=2)
        names = [r.region for r in regions]
        self.assertEqual(names, [r.region for r in client.regions()])
        self.assertEqual(len([n for n in names if n.startswith(region)]), 3)
        self.assertTrue(regions.coverage.complete)
        self.assertEqual([d.device_id for d in client.devices(f"{region}1", limit=3)],
                         sorted(devices[1::3]))
        found = list(client.readings(devices[0], limit=7))
        self.assertEqual(len(found), 151)
        conflicts = [c for c in client.conflicts(limit=4) if c.region == f"{region}0"]
        self.assertEqual(len(conflicts), 25)
        # A page has 10,000 windows.
        end = datetime.now(timezone.utc)
        windows = list(client.windows(f"{region}0", end - timedelta(days=8), end, "1m"))
        self.assertGreaterEqual(len(windows), 8 * 1_440)
        self.assertEqual(sum(w.count for w in windows), 9 + 150)

    def test_pages(self):
        self.pages(URL)

    def test_limits_excursions_corrections_rejections_and_status(self):
        client, region, device = Client(URL), unique("r"), unique("d")
        start = now_ms() // 60_000 * 60_000 - 600_000
        iso = datetime.fromtimestamp(start / 1000, timezone.utc).isoformat()
        client.send_many([(device, region, 4.5, iso), (device, region, 9.0, start + 60_000),
                          (device, region, 4.0, start + 120_000)])
        self.settled(client, region)
        self.assertEqual(client.limits(region).revision, 0)
        limits = client.set_limits(region, low_c=2, high_c=8.0, for_="0")
        self.assertEqual((limits.region, limits.low_c, limits.high_c, limits.plausible_low_c),
                         (region, 2, 8, None))
        self.assertEqual(limits.changed.tzinfo, timezone.utc)
        again = client.limits(region)
        self.assertEqual((again.high_c, again.for_, again.changed, again.revision),
                         (8.0, "0", limits.changed, 1))
        found = list(client.excursions(region, iso, for_="0"))
        self.assertEqual([(e.kind, e.begin) for e in found],
                         [("high", datetime.fromtimestamp(start / 1000 + 60, timezone.utc))])
        one = found[0]
        self.assertEqual((one.extreme_c, one.extreme_at, one.extreme_device),
                         (9.0, one.begin, device))
        self.assertEqual((one.readings, one.devices, one.device_ids), (1, 1, [device]))
        self.assertEqual((one.gaps, one.longest_gap_ms, one.corrected, one.begins_before),
                         (0, None, 0, False))
        self.assertEqual((one.resolution, type(one.revision), one.extra),
                         ("reading", int, {}))
        client.delete_limits(region)
        self.assertIsNone(client.limits(region).high_c)

        when = datetime.fromtimestamp(start / 1000 + 60, timezone.utc)
        answer = client.correct({"device_id": device, "timestamp": when, "expect_c": 9.0,
                                 "temperature_c": 5.0, "reason": "a test"})
        self.assertEqual(answer["state"], "applied")
        mine = [c for c in client.corrections(iso) if c.device_id == device]
        self.assertEqual([(c.timestamp, c.temperature_c, c.reason) for c in mine],
                         [(when, 5.0, "a test")])
        self.assertEqual(client.region(region).max_c, 5.0)
        self.assertIn(device, [d.device_id for d in client.devices()])

        rejected = client.send(device, region, 5_000).rejected
        self.assertEqual(rejected[0].reason, "temperature_out_of_range")
        end = time.monotonic() + 30
        while not (listed := list(client.rejections(region=region))):
            self.assertLess(time.monotonic(), end)
            client.send(device, region, 5_000)
        self.assertEqual({(r.device_id, r.reason) for r in listed},
                         {(device, "temperature_out_of_range")})
        self.assertEqual(list(client.rejections(region=unique("none"))), [])
        self.assertEqual(client.status()["time_zone"], "UTC")
        days = list(client.windows(region, "yesterday", "tomorrow", "1d",
                                   tz="Asia/Kathmandu"))
        self.assertEqual(sum(d.count for d in days), 3)
        # Midnight in Nepal.
        self.assertIn((18, 15), [(d.from_.hour, d.from_.minute) for d in days])

    def test_pages_below_the_path_of_a_proxy(self):
        def forward(method, path, body):
            if not path.startswith("/sensors/a/v1/"):
                return (404, {}, b"not mine")
            request = Request(URL + path[len("/sensors/a"):], body or None, method=method,
                              headers={"content-type": "application/json"})
            with urlopen(request, timeout=30) as answer:
                return (answer.status, {}, answer.read())
        with stub(forward) as proxy:
            self.pages(f"{proxy.url}/sensors/a/")

    def test_while_the_database_is_away(self):
        client, region = Client(URL), unique("r")
        readings = some(3_000, region)
        client.send_many(readings[:1_000])
        self.settled(client, region)
        # The snapshot of the last good figures is renewed every ten seconds.
        self.assertEqual(sum(r.count for r in client.regions() if r.region == region), 1_000)
        set_faults({"store": "sqlite", "effect": "locked"})
        self.assertEqual(client.send_many(readings[1_000:]).accepted, 2_000)
        stale = [r for r in client.regions()]
        self.assertTrue(all(r.coverage.stale and not r.coverage.complete for r in stale))
        with self.assertRaises(Unavailable) as raised:
            Client(URL, attempts=2, timeout=5).region(region, now_ms() - 3_600_000)
        self.assertEqual(raised.exception.problem.status, 503)
        set_faults()
        self.assert_counted(region, readings)

    def test_while_the_journal_fails_and_answers_get_lost(self):
        attempts = []
        for effect in ("fail", "lost", "full"):
            with self.subTest(effect=effect):
                client, region = Client(URL, timeout=120), unique("r")
                once = client._once
                client._once = lambda *all: (attempts.append(effect), once(*all))[1]
                set_faults({"store": "key_value", "effect": effect, "probability": 0.3},
                           {"store": "sqlite", "effect": effect, "probability": 0.1})
                readings = some(1_000, region)
                for at in range(0, 1_000, 100):
                    self.assertEqual(client.send_many(readings[at:at + 100]).accepted, 100)
                set_faults()
                self.assert_counted(region, readings)
        self.assertGreater(len(attempts), 30)

    def test_while_it_is_slow(self):
        client, region = Client(URL, attempt_timeout=0.5, attempts=50, timeout=120), unique("r")
        readings = some(40, region)
        set_faults({"store": "key_value", "effect": "stall", "ms": 700, "probability": 0.2})
        self.assertEqual(client.send_many(readings).accepted, 40)
        set_faults()
        self.assert_counted(region, readings)


class Queue(WithQueue):
    def test_readings_are_on_disk_when_send_returns(self):
        client = self.client("http://127.0.0.1:9")
        self.assertEqual(client.send("d", "r", 1.5, 5).queued, 1)
        self.assertEqual(client.send_many(some(100, "r")).queued, 100)
        self.assertEqual(client.send_many([]).queued, 0)
        self.assertEqual(self.rows("SELECT count(*) FROM readings"), [(101,)])
        self.assertEqual(client.queued(), 101)
        with client._queue._used() as connection:
            found = [connection.execute(f"PRAGMA {name}").fetchone()[0]
                     for name in ("journal_mode", "synchronous")]
        self.assertEqual(found, ["wal", 2])

    def test_flush_delivers_all_of_it(self):
        client, region = self.client(), unique("r")
        readings = some(23_000, region)
        for at in range(0, 23_000, 1_000):
            client.send_many(readings[at:at + 1_000])
        self.assertEqual(client.flush(60).accepted, 23_000)
        self.assertEqual((client.queued(), client.flush(0).accepted), (0, 0))
        self.assert_counted(region, readings)

    def test_nothing_is_removed_without_an_acknowledgement(self):
        for reply in (problem(503), problem(401), problem(404), problem(413), problem(500),
                      (200, {}, b"<html>"), (202, {}, b"{}"), (302, {"location": "/"}, b"")):
            with self.subTest(reply=reply), stub(answering(reply)) as server:
                client = Client(server.url, queue=self.path)
                with closing(client):
                    if not client.queued():
                        client.send_many(some(10, "r"))
                    with self.assertRaises((Problem, Unavailable)):
                        client.flush(0)
                    self.assertEqual(client.queued(), 10)
                    self.assertEqual(client.refused(), [])

    def test_a_full_queue_takes_all_of_a_call_or_nothing(self):
        client = self.client(queue_max=100)
        readings = some(101, unique("r"))
        client.send_many(readings[:60])
        with self.assertRaises(QueueFull):
            client.send_many(readings[60:])
        self.assertEqual(client.queued(), 60)
        client.send_many(readings[60:100])
        with self.assertRaises(QueueFull):
            client.send("d", "r", 1.0)
        client.flush(60)
        client.send_many(readings[100:])
        client.flush(60)
        self.assert_counted(readings[0].region, readings)

    def test_rejected_readings_are_kept_with_their_reasons(self):
        client, region = self.client(), unique("r")
        before = datetime(1971, 1, 1, tzinfo=timezone.utc)
        client.send_many([("ok", region, 1.0), ("no name", region, 2.0, 1_767_225_600_000),
                          ("ok", region, 9_999.0), ("ok", region, 4.0, before)])
        sent = client.flush(60)
        self.assertEqual((sent.accepted, len(sent.rejected)), (1, 3))
        refused = client.refused()
        self.assertEqual([r.reason for r in refused],
                         ["invalid_device_id", "temperature_out_of_range", "too_old"])
        self.assertEqual(refused[0].reading, Reading("no name", region, 2.0, 1_767_225_600_000))
        self.assertEqual(refused[2].reading.timestamp, before)
        self.assertLess(datetime.now(timezone.utc) - refused[0].refused_at, timedelta(minutes=1))
        client.forget_refused(refused[1].id)
        self.assertEqual([r.id for r in client.refused()], [refused[2].id])
        client.send_many([("no name", region, 1.0)] * 3)  # None of it, which is 422.
        client.flush(60)
        self.assertEqual(len(client.refused()), 4)

    def test_refused_readings_are_bounded(self):
        self.addCleanup(setattr, isotherm, "REFUSED_MAX", isotherm.REFUSED_MAX)
        isotherm.REFUSED_MAX = 50
        client = self.client()
        client.send_many([("no name", "r", float(i)) for i in range(200)])
        client.flush(60)
        self.assertEqual([r.reading.temperature_c for r in client.refused()],
                         [float(i) for i in range(150, 200)])

    def test_flush_ends_with_its_time(self):
        client = self.client("http://127.0.0.1:9")
        client.send("d", "r", 1.0)
        started = time.monotonic()
        with self.assertRaisesRegex(Unavailable, "1 readings are still queued"):
            client.flush(1.5)
        self.assertLess(time.monotonic() - started, 10)

    def test_flush_takes_no_part_in_what_comes_later(self):
        client = self.client()

        def script(_method, _path, body):
            client.send("d", "r", 1.0)
            return accepted(body)
        with stub(script) as server:
            client.url = server.url
            client.send("d", "r", 1.0)
            self.assertEqual(client.flush(30).accepted, 1)
            self.assertEqual(client.queued(), 1)

    def test_one_process_delivers_at_a_time_and_another_takes_over(self):
        client = self.client()

        def lend(pid, until):
            client.send("d", unique("r"), 1.0)
            with client._queue._used() as connection:
                connection.execute("UPDATE lease SET owner = ?, until_ms = ?",
                                   (f"other {pid} 1", until))
        lend(os.getppid(), now_ms() + 50_000)
        with self.assertRaises(Unavailable):
            client.flush(0.3)
        # Its time is over; the clock was put back by an hour; it was killed.
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            ended.wait()
        for pid, until in [(os.getppid(), now_ms() - 1), (os.getppid(), now_ms() + 3_600_000),
                           (ended.pid, now_ms() + 50_000)]:
            lend(pid, until)
            self.assertGreaterEqual(client.flush(60).accepted, 1)

    def test_deliveries_at_the_same_time_leave_nothing_out(self):
        """Two that both believe that it is their turn, with readings that come between."""
        region = unique("r")
        client, slow = self.client(), self.client()
        readings = some(20, region) + [Reading("no name", region, 1.0, 5)]
        client.send_many(readings)
        rows = slow._queue.claim()
        with client._queue._used() as connection:
            connection.execute("UPDATE lease SET until_ms = 0")
        client.flush(30)
        later = some(30, region)
        client.send_many(later)
        ids = [number for number, _ in rows]
        slow._queue.settle(ids, [isotherm.Rejected(20, "again", "")], True)
        self.assertEqual((client.queued(), [r.reason for r in client.refused()]),
                         (30, ["invalid_device_id"]))
        client.flush(30)
        self.assert_counted(region, readings[:20] + later)

    def test_files_that_are_no_queue(self):
        for content in (b"not a database, but long enough to be one" * 100,):
            with open(self.path, "wb") as file:
                file.write(content)
            with self.assertRaises(QueueError):
                Client(URL, queue=self.path)
            os.remove(self.path)
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA user_version = 2")
        with self.assertRaisesRegex(QueueError, "newer client"):
            Client(URL, queue=self.path)
        with self.assertRaises(QueueError):
            Client(URL, queue=os.path.join(self.directory, "no", "queue.db"))

    def test_a_disk_without_space_is_told_and_nothing_is_half_queued(self):
        client = self.client()
        client.send_many(some(10, "r"))
        with client._queue._used() as connection:
            connection.execute("PRAGMA max_page_count = 1")
        with self.assertRaisesRegex(QueueError, "full"):
            client.send_many(some(5_000, "r"))
        self.assertEqual(client.queued(), 10)

    def test_in_the_background(self):
        client, region = self.client(attempt_timeout=2), unique("r")
        readings = some(600, region)
        set_faults({"store": "key_value", "effect": "fail"}, {"store": "sqlite", "effect": "fail"})
        client.start(interval=0.05)
        client.start()
        client.send_many(readings[:300])
        deadline = time.monotonic() + 60
        while client.last_error is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertIsInstance(client.last_error, Unavailable)
        self.assertEqual(client.queued(), 300)
        set_faults()
        for reading in readings[300:]:
            client.send(*reading)
        deadline = time.monotonic() + 60
        while client.queued() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assert_counted(region, readings)
        self.assertIsNone(client.last_error)
        client.stop(30)
        self.assertFalse(client._thread.is_alive())
        client.send("d", unique("r"), 1.0)
        time.sleep(0.2)
        self.assertEqual(client.queued(), 1)
        client.start(interval=0.05)
        client.flush(30)

    def test_threads_share_a_client(self):
        client, region = self.client(), unique("r")
        parts = [some(200, region, f"{region}-{i}") for i in range(6)]

        def work(part):
            for reading in part:
                client.send(*reading)
            client.flush(60)
        threads = [threading.Thread(target=work, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(client.queued(), 0)
        self.assert_counted(region, [r for part in parts for r in part])

    def test_a_process_that_forks(self):
        client, region = self.client(), unique("r")
        readings = some(300, region)

        def write():
            for reading in readings[:100]:
                client.send(*reading)
        thread = threading.Thread(target=write)
        thread.start()
        children = []
        for child in range(4):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    # SQLite must not be open across a fork.
                    self.assertIsNone(client._queue._connection)
                    client.send_many(readings[100 + child * 50:150 + child * 50])
                    client.flush(60)
                    client.close()
                    status = 0
                finally:
                    os._exit(status)
            children.append(pid)
            time.sleep(0.05)
        thread.join()
        self.assertEqual([os.waitpid(pid, 0)[1] for pid in children], [0] * 4)
        client.flush(60)
        self.assert_counted(region, readings)
        self.assertEqual(self.rows("PRAGMA integrity_check"), [("ok",)])


SENDER = """
import sys, isotherm
url, path, device, region, start, first, count = sys.argv[1:]
start, first, count = int(start), int(first), int(count)
isotherm._log.setLevel("CRITICAL")
client = isotherm.Client(url, queue=path, attempt_timeout=5)
client.start(interval=0.005)
at = first
while at < count:
    more = min(1 + at % 7, count - at)
    client.send_many([(device, region, i % 400 / 8, start + i) for i in range(at, at + more)])
    at += more
    print(at, flush=True)
client.stop()
client.flush(120)
"""


class Crashes(WithQueue):
    def sender(self, device, region, start, first, count):
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SENDER, URL, self.path, device, region,
             str(start), str(first), str(count)],
            stdout=subprocess.PIPE, cwd=HERE, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})

    @staticmethod
    def finished(process, first):
        """Up to which reading `send_many` returned, when the process has ended."""
        lines = process.communicate()[0].split(b"\n")[:-1]
        return int(lines[-1]) if lines else first

    def test_what_send_returned_for_is_counted_once_whatever_is_killed(self):
        region, start = unique("r"), now_ms() - 3_600_000
        devices = [f"{region}-{i}" for i in range(2)]
        done = [0, 0]
        set_faults({"store": "key_value", "effect": "lost", "probability": 0.03},
                   {"store": "key_value", "effect": "fail", "probability": 0.03},
                   {"store": "sqlite", "effect": "lost", "probability": 0.03})
        for round_ in range(KILLS):
            running = [self.sender(d, region, start, done[i], 10**6)
                       for i, d in enumerate(devices)]
            if round_ % 2:
                for i, process in enumerate(running):
                    done[i] = int(process.stdout.readline())
            time.sleep(random.uniform(0, 0.6))
            for i, process in enumerate(running):
                process.send_signal(signal.SIGKILL)
                done[i] = self.finished(process, done[i])
        self.assertGreater(min(done), KILLS)
        # Some were delivered between the kills.
        self.assertLess(self.rows("SELECT count(*) FROM readings")[0][0], sum(done))
        # What was under way when they were killed is sent again, and maybe a second time.
        counts = [count + 10 for count in done]
        running = [self.sender(d, region, start, done[i], counts[i])
                   for i, d in enumerate(devices)]
        set_faults()
        for process in running:
            process.communicate()
            self.assertEqual(process.returncode, 0)
        client = self.client()
        client.flush(60)
        self.assertEqual(client.queued(), 0)
        self.assert_counted(region, [Reading(d, region, i % 400 / 8, start + i)
                                     for n, d in enumerate(devices) for i in range(counts[n])])
        self.assertEqual(self.rows("PRAGMA integrity_check"), [("ok",)])

    def test_a_power_cut_leaves_what_send_returned_for(self):
        """What is on the disk is copied after each send. In a copy, the tail of the log
        that was not synced yet is cut off, or is garbage."""
        client = self.client("http://127.0.0.1:9")
        expected = 0
        for round_ in range(12):
            client.send_many(some(1 + round_ * 40, "r"))
            expected += 1 + round_ * 40
            if round_ == 6:
                with client._queue._used() as connection:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            # Not by this process: to close a file would end the locks of SQLite in it.
            for name in ("queue.db", "queue.db-wal"):
                subprocess.run(["cp", name, f"{round_}-{name}"], cwd=self.directory, check=True)
            log = os.path.join(self.directory, f"{round_}-queue.db-wal")
            with open(log, "ab") as file:
                file.write(os.urandom(random.randrange(1, 9_000)))
            copy = Client(URL, queue=os.path.join(self.directory, f"{round_}-queue.db"))
            self.assertEqual(copy.queued(), expected)
            with copy._queue._used() as connection:
                rows = connection.execute("SELECT count(*), max(id) FROM readings").fetchone()
            self.assertEqual(rows, (expected, expected))
            copy.close()

    def test_a_power_cut_while_send_writes_leaves_what_was_before(self):
        client = self.client("http://127.0.0.1:9")
        client.send_many(some(50, "r"))
        before = os.path.getsize(self.path + "-wal")
        client.send_many(some(500, "r"))
        after = os.path.getsize(self.path + "-wal")
        self.assertGreater(after, before)
        for cut in [before, after - 1] + random.sample(range(before, after), 10):
            for name in ("queue.db", "queue.db-wal"):
                subprocess.run(["cp", name, f"cut-{name}"], cwd=self.directory, check=True)
            os.truncate(os.path.join(self.directory, "cut-queue.db-wal"), cut)
            with closing(Client(URL, queue=os.path.join(self.directory, "cut-queue.db"))) as copy:
                self.assertEqual(copy.queued(), 50, cut)


class CommandLine(WithQueue):
    def run_it(self, *arguments, url=URL, text=None, **environment):
        return subprocess.run(
            [sys.executable, "-W", "error", os.path.join(HERE, "isotherm.py"), *arguments],
            input=text, capture_output=True, text=True, timeout=120,
            env={**os.environ, "ISOTHERM_URL": url, "PYTHONDONTWRITEBYTECODE": "1",
                 **environment})

    def ok(self, *arguments, **options):
        done = self.run_it(*arguments, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_send_and_ask(self):
        region, device = unique("r"), unique("d")
        self.ok("send", device, region, "4.5", "--timestamp", str(now_ms() - 60_000))
        self.ok("send", device, region, "--", "-3.5")
        lines = [{"device_id": device, "region": region, "temperature_c": 2,
                  "timestamp": datetime.now(timezone.utc).isoformat()},
                 {"device_id": "other", "region": region, "temperature_c": 1}]
        self.ok("send", text="\n".join(map(json.dumps, lines)) + "\n\n")
        self.settled(Client(URL), region)
        (found,) = self.ok("region", region)
        self.assertEqual((found["count"], found["average_c"]), (4, 1.0))
        self.assertIn(region, [r["region"] for r in self.ok("regions")])
        self.assertEqual(len(self.ok("windows", region, "--step", "6h")), 4)
        self.assertEqual([d["count"] for d in self.ok("devices", region)], [3, 1])
        (one,) = self.ok("device", device)
        self.assertEqual(one["count"], 3)
        self.assertEqual(len(self.ok("readings", device, "--from", "2026-01-01T00:00:00Z",
                                     "--to", "2026-01-05T00:00:00Z")), 0)
        self.ok("conflicts")

    def test_with_a_queue(self):
        region, away = unique("r"), "http://127.0.0.1:9"
        queue = {"ISOTHERM_QUEUE": self.path}
        self.ok("--timeout", "0.2", "send", "d", region, "1.5", url=away, **queue)
        done = self.run_it("--timeout", "0.2", "flush", url=away, **queue)
        self.assertEqual(done.returncode, 75)
        self.assertIn("1 readings are still queued", done.stderr)
        self.ok("send", "d", region, "2.5", **queue)
        self.ok("flush", **queue)
        self.assertEqual(self.settled(Client(URL), region).count, 2)
        done = self.run_it("send", "no name", region, "1", **queue)
        self.assertEqual(done.returncode, 1)
        self.assertIn("invalid_device_id", done.stderr)
        (refused,) = self.ok("refused", **queue)
        self.assertEqual(refused["reading"]["device_id"], "no name")

    def test_wrong_use(self):
        for status, arguments, text in [
                (2, ["send", "d", "r"], None), (2, ["send", "d", "r", "warm"], None),
                (2, ["send", "d", "r", "1", "--timestamp", "2026-01-01T00:00:00"], None),
                (2, ["send"], "{"), (2, ["send"], "[]"), (2, ["send"], '{"unit": 1}'),
                (2, ["region", unique("none")], None), (2, ["flush"], None),
                (2, ["region", ".."], None), (2, [], None), (2, ["windows", "r", "--step", "x"],
                                                             None),
                (1, ["send", "no name", "r", "1"], None)]:
            with self.subTest(arguments=arguments, text=text):
                done = self.run_it(*arguments, text=text)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertNotIn("Traceback", done.stderr)
                self.assertTrue(done.stderr)
        done = self.run_it("--timeout", "0.2", "regions", url="http://127.0.0.1:9")
        self.assertEqual(done.returncode, 75)


if __name__ == "__main__":
    unittest.main()
