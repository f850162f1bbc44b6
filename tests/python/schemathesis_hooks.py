"""Types of bodies that schemathesis does not know: they are text."""

import schemathesis

for media_type in ("application/x-ndjson", "application/jsonl", "application/ndjson"):
    schemathesis.serializer.alias(media_type, "text/plain")
