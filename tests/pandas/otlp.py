"""Reads the body of a push of metrics with Google's protobuf, and holds its sums against run.json and phases.csv.

    otlp.py FOLDER BODY
"""

import csv
import json
import pathlib
import sys

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

folder, body = map(pathlib.Path, sys.argv[1:])
totals = json.loads((folder / "run.json").read_text())["totals"]
request = ExportMetricsServiceRequest.FromString(body.read_bytes())


def equal(what, found, wanted):
    assert found == wanted, f"{what}: {found}, wanted {wanted}"


def labels(point):
    return {attribute.key: attribute.value.string_value for attribute in point.attributes}


def without_unknown(message):
    """Bytes that Google's definition of the messages does not know would be lost when written again."""
    again = type(message)()
    again.CopyFrom(message)
    again.DiscardUnknownFields()
    return again


equal("fields that are known", without_unknown(request).ByteSize(), request.ByteSize())
[of_resource] = request.resource_metrics
[of_scope] = of_resource.scope_metrics
metrics = {metric.name: metric for metric in of_scope.metrics}
equal("names that occur once", len(metrics), len(of_scope.metrics))
resource = labels(of_resource.resource)
equal("service.name", resource["service.name"], "fleetstorm")

for metric in metrics.values():
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    assert data.data_points, f"{metric.name} has no points"
    for point in data.data_points:
        assert 0 < point.start_time_unix_nano <= point.time_unix_nano, metric.name
    if kind in ("sum", "histogram"):
        equal(metric.name, data.aggregation_temporality, AGGREGATION_TEMPORALITY_CUMULATIVE)
    if kind == "sum":
        assert data.is_monotonic, metric.name

for name, total in [("devices_started", "started"), ("attempts_started", "attempts"), ("throttled", "throttled"),
                    ("polls", "polls"), ("attempts_failed", "failed_attempts"), ("devices", "planned")]:
    found = sum(point.as_int for point in metrics[f"fleetstorm.{name}"].sum.data_points)
    equal(name, found, totals[total])

with (folder / "phases.csv").open() as file:
    # What is known of all is no distribution.
    rows = [row for row in csv.DictReader(file) if row["outcome"] != "all"]
    wanted = {(row["stage"], row["phase"], row["outcome"]): int(row["count"]) for row in rows}
found = {}
for point in metrics["fleetstorm.phase"].histogram.data_points:
    of = labels(point)
    equal("buckets", len(point.bucket_counts), len(point.explicit_bounds) + 1)
    equal("sum of the buckets", sum(point.bucket_counts), point.count)
    found[of["stage"], of["phase"], of["outcome"]] = point.count
equal("phases", found, wanted)

print("ok", len(metrics), "metrics")
