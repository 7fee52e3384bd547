//! A receiver on loopback gets what the record says, by OTLP over HTTP.

mod receiver;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use axum::response::IntoResponse as _;
use fleetstorm::cli::Exit;
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::store::certificates_to_pem;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, metric::Data, number_data_point,
};
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use prost::Message as _;
use serde_json::Value;

use super::pandas::python;
use super::{COUNTERS, RUN, Running, folder, free_port, run_json, until};
use crate::cli::{code, fleetstorm};
use receiver::{Receiver, decoded, taken};

const JUDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pandas/otlp.py");

/// Attributes as text.
fn text(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let pair = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(value)) => (attribute.key.clone(), value.clone()),
        other => panic!("{}: {other:?}", attribute.key),
    };
    attributes.iter().map(pair).collect()
}

fn metrics(request: &ExportMetricsServiceRequest) -> &[Metric] {
    let [resource] = &request.resource_metrics[..] else { panic!("one resource") };
    let [scope] = &resource.scope_metrics[..] else { panic!("one scope") };
    &scope.metrics
}

/// Every number by name and attributes, with the beginning and the moment that it is told for.
fn numbers(request: &ExportMetricsServiceRequest) -> BTreeMap<(String, String), (f64, u64, u64)> {
    let points = metrics(request).iter().flat_map(|metric| {
        let points = match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => &gauge.data_points,
            Data::Sum(sum) => {
                assert!(sum.is_monotonic, "{}", metric.name);
                assert_eq!(sum.aggregation_temporality, AggregationTemporality::Cumulative as i32, "{}", metric.name);
                &sum.data_points
            }
            _ => return Vec::new(),
        };
        let number = |point: &NumberDataPoint| {
            let labels: Vec<_> =
                text(&point.attributes).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
            let value = match point.value.unwrap() {
                number_data_point::Value::AsInt(count) => count as f64,
                number_data_point::Value::AsDouble(value) => value,
            };
            let key = (metric.name.clone(), labels.join(","));
            (key, (value, point.start_time_unix_nano, point.time_unix_nano))
        };
        points.iter().map(number).collect()
    });
    points.collect()
}

fn holds_what_the_record_says(told: &ExportMetricsServiceRequest, folder: &Path) {
    let record = run_json(folder);
    let numbers = numbers(told);
    let number = |name: &str, labels: &str| {
        let key = (format!("fleetstorm.{name}"), labels.to_owned());
        numbers.get(&key).unwrap_or_else(|| panic!("{key:?} in {numbers:?}")).0
    };
    let totals = &record["totals"];
    let count = |value: &Value| value.as_u64().unwrap() as f64;
    for (metric, total) in COUNTERS {
        assert_eq!(number(metric, "stage=storm"), count(&totals[total]), "{metric}");
    }
    for outcome in ["succeeded", "failed", "dropped", "not_started", "skipped"] {
        assert_eq!(number("devices", &format!("outcome={outcome},stage=storm")), count(&totals[outcome]), "{outcome}");
    }
    let failed = number("attempts", "outcome=failed,stage=storm");
    assert_eq!(failed, count(&totals["failed_attempts"]));
    assert_eq!(number("run_part", "part=over"), 1.0);
    assert_eq!(number("devices_planned", "stage=storm"), count(&totals["planned"]));
    assert!(number("generator_resident_memory", "") > 1e6);

    let phase = metrics(told).iter().find(|metric| metric.name == "fleetstorm.phase").unwrap();
    assert_eq!((phase.unit.as_str(), phase.description.is_empty()), ("s", false));
    let Some(Data::Histogram(histogram)) = &phase.data else { panic!("{phase:?}") };
    assert_eq!(histogram.aggregation_temporality, AggregationTemporality::Cumulative as i32);
    let points: BTreeMap<_, _> = histogram
        .data_points
        .iter()
        .map(|point| {
            assert_eq!((point.explicit_bounds.len(), point.bucket_counts.len()), (23, 24));
            assert!(point.explicit_bounds.is_sorted() && point.explicit_bounds[0] == 0.000_1);
            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
            let text = text(&point.attributes);
            ((text["stage"].clone(), text["phase"].clone(), text["outcome"].clone()), point)
        })
        .collect();
    let mut rows = csv::Reader::from_path(folder.join("out/phases.csv")).unwrap();
    let mut found = 0;
    for row in rows.deserialize::<BTreeMap<String, String>>() {
        let row = row.unwrap();
        // What is known of all is no distribution.
        if row["outcome"] == "all" {
            continue;
        }
        let key = (row["stage"].clone(), row["phase"].clone(), row["outcome"].clone());
        let wanted: u64 = row["count"].parse().unwrap();
        assert_eq!(points[&key].count, wanted, "{key:?}");
        let mean = row["mean_us"].parse::<f64>().unwrap() / 1e6;
        let sum = points[&key].sum.unwrap();
        assert!((sum / wanted as f64 - mean).abs() <= mean / 100.0 + 2e-6, "{key:?}: {sum} s of {wanted}, {mean} s");
        found += 1;
    }
    assert_eq!((found, found > 5), (points.len(), true));
}

#[test]
fn the_last_push_is_what_the_record_says() {
    let folder = folder();
    let receiver = Receiver::start(taken);
    let run = fleetstorm(folder.path())
        .args(RUN)
        .args(["--quiet", "--otlp", &receiver.base(), "--otlp-interval", "500ms"])
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_RESOURCE_ATTRIBUTES", "host.name=here,service.version=not%20ours")
        .assert();
    run.code(code(Exit::Done));
    let pushes = receiver.pushes();
    assert!(pushes.len() > 2, "at the beginning, in between, at the end: {}", pushes.len());
    assert!(
        pushes
            .iter()
            .all(|(head, _)| head[CONTENT_TYPE] == "application/x-protobuf" && head["content-encoding"] == "gzip")
    );
    let told: Vec<_> = pushes.iter().map(decoded).collect();
    holds_what_the_record_says(told.last().unwrap(), folder.path());

    let resource =
        |told: &ExportMetricsServiceRequest| text(&told.resource_metrics[0].resource.as_ref().unwrap().attributes);
    let known = resource(&told[0]);
    assert!(told.iter().all(|told| resource(told) == known), "{known:?}");
    for (key, value) in [
        ("service.name", "fleetstorm"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("fleetstorm.scenario", "told"),
        ("fleetstorm.seed", "7"),
        ("host.name", "here"),
    ] {
        assert_eq!(known[key], value, "{key}");
    }
    assert_eq!(known["service.instance.id"].len(), 36);

    // One beginning for all, and time goes on.
    let times: Vec<_> =
        told.iter().flat_map(|told| numbers(told).into_values().map(|(_, start, at)| (start, at))).collect();
    assert!(times.iter().all(|(start, at)| *start == times[0].0 && start <= at));
    assert!(times.is_sorted_by_key(|(_, at)| *at));
    let record = run_json(folder.path());
    assert_eq!(record["notes"], Value::Array(Vec::new()), "{record}");
    let origins: BTreeMap<_, _> =
        record["settings"].as_array().unwrap().iter().map(|s| (s["key"].as_str().unwrap(), &s["origin"])).collect();
    assert_eq!(origins["run.otlp"], "command line");

    // Google's own protobuf reads it.
    let Some(python) = python("google.protobuf, opentelemetry.proto.collector.metrics.v1") else { return };
    let file = folder.path().join("push.pb");
    fs::write(&file, told.last().unwrap().encode_to_vec()).unwrap();
    let output = Command::new(python).arg(JUDGE).arg(folder.path().join("out")).arg(file).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.starts_with("ok"), "{out}\n{err}");
}

#[test]
fn headers_of_the_environment_arrive_and_appear_nowhere_else() {
    let folder = folder();
    // Told as a receiver that does not know how to keep a secret would.
    let receiver = Receiver::start(|number| match number {
        0 => (StatusCode::UNAUTHORIZED, [(CONTENT_TYPE, "application/x-protobuf")], b"\x12\x0bbad s3cr3t!".to_vec())
            .into_response(),
        _ => taken(number),
    });
    let run = fleetstorm(folder.path())
        .args(RUN)
        .args(["--set", "fleet.devices=20", "--otlp-interval", "300ms", "--devices", "--otlp"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.base())
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cr3t%21,x-tenant=storm")
        .assert();
    let output = run.code(code(Exit::Done)).stderr(contains("401").and(contains("OTEL_EXPORTER_OTLP_HEADERS")));
    let output = output.get_output();
    for (head, _) in receiver.pushes() {
        assert_eq!(
            (head["authorization"].as_bytes(), head["x-tenant"].as_bytes()),
            (&b"Bearer s3cr3t!"[..], &b"storm"[..])
        );
    }
    holds_what_the_record_says(&receiver.last(), folder.path());
    let mut searched = 0;
    let mut search = |place: &str, bytes: &[u8]| {
        searched += 1;
        assert!(!String::from_utf8_lossy(bytes).contains("s3cr3t"), "{place}");
    };
    search("stdout", &output.stdout);
    search("stderr", &output.stderr);
    for file in fs::read_dir(folder.path().join("out")).unwrap() {
        let path = file.unwrap().path();
        search(&path.display().to_string(), &fs::read(&path).unwrap());
    }
    for (_, body) in receiver.pushes() {
        search("a push", &body);
    }
    assert!(searched > 8);
    let record = run_json(folder.path());
    let notes = record["notes"].to_string();
    assert!(notes.contains("1 of ") && notes.contains("the last values arrived"), "{notes}");
    let setting = record["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == "run.otlp").unwrap();
    assert_eq!(
        (&setting["origin"], &setting["value"]),
        (&"environment".into(), &format!("{}/v1/metrics", receiver.base()).into())
    );
}

#[test]
fn what_a_receiver_refuses_for_now_is_sent_again() {
    let folder = folder();
    // Every other push, so that the last one is refused or what follows a refusal.
    let receiver = Receiver::start(|number| match number % 2 {
        0 => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "0")]).into_response(),
        _ => taken(number),
    });
    let options = ["--quiet", "--otlp", &receiver.base(), "--otlp-interval", "1s"];
    fleetstorm(folder.path()).args(RUN).args(options).assert().code(code(Exit::Done));
    let pushes = receiver.pushes();
    assert_eq!(pushes.len() % 2, 0, "every refusal is followed by a success");
    // Later ones may be overtaken by the end.
    assert!(pushes[0].1 == pushes[1].1, "the same is sent again");
    holds_what_the_record_says(&receiver.last(), folder.path());
    assert_eq!(run_json(folder.path())["notes"], Value::Array(Vec::new()), "nothing failed in the end");
}

#[test]
fn what_is_rejected_in_part_is_said() {
    let folder = folder();
    let receiver = Receiver::start(|_| {
        let partial_success =
            ExportMetricsPartialSuccess { rejected_data_points: 2, error_message: "no gauges".to_owned() };
        ExportMetricsServiceResponse { partial_success: Some(partial_success) }.encode_to_vec().into_response()
    });
    fleetstorm(folder.path())
        .args(RUN)
        .args(["--quiet", "--set", "fleet.devices=3", "--otlp-interval", "1h", "--otlp", &receiver.base()])
        .assert()
        .code(code(Exit::Done));
    let pushes = receiver.pushes().len();
    assert_eq!(pushes, 2, "at the beginning and at the end");
    let notes = run_json(folder.path())["notes"].to_string();
    assert!(notes.contains("took 2 of 2 pushes in part and rejected 4 of their points: no gauges"), "{notes}");
}

#[test]
fn a_receiver_that_hangs_delays_nothing_but_its_own_push() {
    let folder = folder();
    let receiver = Receiver::hanging();
    let run = fleetstorm(folder.path())
        .args(RUN)
        .args(["--otlp", &receiver.base(), "--otlp-interval", "200ms"])
        .env("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "700")
        .timeout(Duration::from_secs(120))
        .assert();
    run.code(code(Exit::Done)).stderr(contains("no answer within 700ms"));
    let record = run_json(folder.path());
    assert_eq!(record["totals"]["succeeded"], 60, "{}", record["totals"]);
    let notes = record["notes"].to_string();
    assert!(notes.contains("the last values did not arrive: no answer within 700ms"), "{notes}");
}

#[test]
fn nobody_there_is_said_at_once_and_the_run_goes_on() {
    let folder = folder();
    let url = format!("http://127.0.0.1:{}", free_port());
    let run = fleetstorm(folder.path())
        .args(RUN)
        .args(["--set", "fleet.devices=3", "--otlp-interval", "1h", "--otlp", &url])
        .assert();
    run.code(code(Exit::Done))
        .stderr(contains("metrics do not arrive").count(1).and(contains("refused")).and(contains("4318")));
    let notes = run_json(folder.path())["notes"].to_string();
    assert!(notes.contains("2 of 2 pushes") && notes.contains("the last values did not arrive"), "{notes}");
}

#[test]
fn ctrl_c_pushes_the_last_values() {
    let folder = folder();
    let receiver = Receiver::start(taken);
    let options = ["--quiet", "--otlp", &receiver.base(), "--otlp-interval", "200ms", "--set", "fleet.devices=10000"];
    let secret = ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cr3t");
    let mut run = Running::start_in(folder.path(), &options, &[secret]);
    until("a device that is through", || {
        let told = receiver.pushes().last().map(decoded)?;
        (numbers(&told)[&("fleetstorm.devices".to_owned(), "outcome=succeeded,stage=storm".to_owned())].0 > 0.0)
            .then_some(())
    });
    let environment = |process: &str| String::from_utf8(fs::read(format!("/proc/{process}/environ")).unwrap()).unwrap();
    let pid = run.0.id();
    let emulator = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    assert!(environment(&pid.to_string()).contains("s3cr3t"));
    assert!(!environment(emulator.trim()).contains("s3cr3t"), "the emulator has no use for it");
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(run.code(), Some(code(Exit::Interrupted)));
    holds_what_the_record_says(&receiver.last(), folder.path());
}

#[test]
fn https_trusts_whom_the_environment_names() {
    let folder = folder();
    let root = |name: &str| {
        let root = RootCa::for_servers(name, SystemTime::now()).unwrap();
        let file = folder.path().join(format!("{name}.pem"));
        fs::write(&file, certificates_to_pem(&[root.der()])).unwrap();
        (root, file)
    };
    let ((right, right_file), (_, wrong_file)) = (root("right"), root("wrong"));
    let receiver = Receiver::with_tls(&right);
    let url = format!("https://localhost:{}/base", receiver.port());
    let run = |out: &str| {
        let mut run = fleetstorm(folder.path());
        run.args(&RUN[..5])
            .args([out, "--set", "fleet.devices=3", "--otlp-interval", "1h", "--otlp", &url])
            .env("SSL_CERT_FILE", &right_file);
        run
    };
    // As the system's roots.
    run("out").assert().code(code(Exit::Done));
    assert_eq!(receiver.pushes().len(), 2);
    holds_what_the_record_says(&receiver.last(), folder.path());
    // Goes before them.
    let refused = run("refused").env("OTEL_EXPORTER_OTLP_CERTIFICATE", wrong_file).assert();
    refused.code(code(Exit::Done)).stderr(contains("no TLS").and(contains("OTEL_EXPORTER_OTLP_CERTIFICATE")));
    assert_eq!(receiver.pushes().len(), 2);
}

#[test]
fn what_makes_no_sense_is_said_before_anything_starts() {
    let refused = |options: &[&str], variable: Option<(&str, &str)>, words: &str| {
        let folder = folder();
        let run = fleetstorm(folder.path()).args(RUN).args(options).envs(variable).assert();
        run.code(code(Exit::Usage)).stderr(contains(words).and(contains("s3cret").not()));
        assert!(!folder.path().join("out").exists());
    };
    refused(&["--otlp", "127.0.0.1:4318"], None, "http://127.0.0.1:4318");
    refused(&["--otlp", "localhost:4318"], None, "must begin with http://");
    refused(&["--otlp-interval", "5s"], None, "--otlp");
    refused(&["--otlp", "--otlp-interval", "1ms"], None, "shorter than 200ms");
    refused(&["--otlp"], Some(("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")), "KEY=VALUE");
    refused(&["--otlp"], Some(("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")), "http/protobuf");
    refused(&["--otlp", "https://127.0.0.1:1"], Some(("OTEL_EXPORTER_OTLP_CERTIFICATE", "absent.pem")), "absent.pem");
}

#[test]
fn without_the_flag_the_environment_is_not_looked_at() {
    let folder = folder();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    nobody.set_nonblocking(true).unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    let run = fleetstorm(folder.path()).args(RUN).arg("--quiet").env("OTEL_EXPORTER_OTLP_ENDPOINT", url).assert();
    run.code(code(Exit::Done));
    assert!(nobody.accept().is_err(), "nobody came");
    assert!(!run_json(folder.path()).to_string().contains("otlp"));
}
