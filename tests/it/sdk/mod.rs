//! The official Python SDK, unmodified, and curl against the emulator: code that we did not write judges it.
//!
//! The cases themselves are Python, in `tests/sdk/fidelity.py`; each is a test here. They need an interpreter with the
//! SDK: `python3 -m venv target/sdk && target/sdk/bin/pip install -r tests/sdk/requirements.txt`, or one named by
//! `FLEETSTORM_SDK_PYTHON`. Without it they say so and pass, except where `CI` is set: there they fail.

mod curl;
mod lab;

use std::process::Command;

use lab::{Lab, sdk_python};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/fidelity.py");

/// Names each case twice, as a test and as its argument, so that a case added on one side only is found.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        const CASES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                run_case(stringify!($name));
            }
        )*
    };
}

cases![
    register_symmetric_key_mqtt,
    register_symmetric_key_websocket,
    register_wrong_key_is_unauthorized,
    register_again_is_assigned_again,
    register_x509_mqtt,
    register_x509_websocket,
    register_x509_with_csr,
    hub_sas_telemetry,
    hub_sas_websocket_telemetry,
    hub_unknown_device_is_refused,
    certificate_telemetry,
    certificate_websocket,
    certificate_of_another_device_is_refused,
    twin,
    direct_method,
    cloud_to_device_message,
    disabled_device_is_refused,
    renewal,
];

#[test]
fn every_case_of_the_script_is_run() {
    let Some(python) = sdk_python() else { return };
    let output = Command::new(python).args([SCRIPT, "--list"]).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(listed.lines().collect::<Vec<_>>(), CASES, "{}", String::from_utf8_lossy(&output.stderr));
}

fn run_case(name: &str) {
    let Some(python) = sdk_python() else { return };
    let lab = Lab::get();
    let output =
        Command::new(python).arg(SCRIPT).arg(name).arg(&lab.connection_file).arg(lab.folder()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains(&format!("ok {name}")), "{out}\n{err}");
}

/// The example of docs/own-sdk.md, as it stands there, but for the port: the SDK's is fixed, the test's is a free one.
#[test]
fn the_example_of_the_documentation_works() {
    let Some(python) = sdk_python() else { return };
    let lab = Lab::get();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");
    let redirected = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); from emulator import Emulator; \
                      Emulator(sys.argv[1]).use_ports(); runpy.run_path(sys.path[0] + '/example.py')";
    let output = Command::new(python)
        .args(["-c", redirected, folder])
        .arg(&lab.connection_file)
        .arg("example-1")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out == "assigned to localhost\nsent\n", "{out}\n{err}");
}
