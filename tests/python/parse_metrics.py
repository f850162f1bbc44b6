"""Parses the metrics on standard input with the parser of Prometheus' own client,
and prints them as JSON: {family: [type, {labels: value}]}."""

import json
import sys

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as text

PARSERS = {
    "openmetrics": openmetrics.text_string_to_metric_families,
    "text": text.text_string_to_metric_families,
}

families = PARSERS[sys.argv[1]](sys.stdin.read())
print(
    json.dumps(
        {
            family.name: [
                family.type,
                {sample.name + str(sorted(sample.labels.values())): sample.value for sample in family.samples},
            ]
            for family in families
        }
    )
)
