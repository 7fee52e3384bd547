//! One emulator for all cases of a test process, and the fleet's bootstrap certificates.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetstorm::rig::target::Connection;
use tempfile::TempDir;

/// Devices with a bootstrap certificate.
const X509_DEVICES: &str = "3";

/// An emulator as a child process; it ends with this process, whose end closes its stdin.
pub(super) struct Lab {
    _emulator: Child,
    folder: TempDir,
    pub(super) connection_file: PathBuf,
    pub(super) connection: Connection,
}

impl Lab {
    /// The one of this process.
    pub(super) fn get() -> &'static Self {
        static LAB: OnceLock<Lab> = OnceLock::new();
        LAB.get_or_init(Self::start)
    }

    /// Where cases may write.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let connection_file = folder.path().join("emulator.json");
        let mut emulator = Command::new(assert_cmd::cargo::cargo_bin!("fleetstorm"))
            .args(["emulator", "--json", "--quiet", "--parent-pipe", "--mqtt-port", "0", "--https-port", "0"])
            .args(["--management-port", "0", "--connection-file"])
            .arg(&connection_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(emulator.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let connection = Connection::parse(&ready).unwrap();
        let lab = Self { _emulator: emulator, folder, connection_file, connection };
        lab.enroll_x509_fleet();
        lab
    }

    /// Root, intermediate and devices by `fleetstorm pki`, both authorities verified, one group for the intermediate.
    fn enroll_x509_fleet(&self) {
        let bootstrap = self.folder().join("bootstrap");
        let pki = |args: &[&str]| {
            let output =
                Command::new(assert_cmd::cargo::cargo_bin!("fleetstorm")).arg("pki").args(args).output().unwrap();
            assert!(output.status.success(), "pki {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let dir = bootstrap.to_str().unwrap();
        pki(&["root", "--dir", dir]);
        pki(&["intermediate", "--dir", dir]);
        pki(&["devices", "--dir", dir, "--count", X509_DEVICES, "--pattern", "sdk-x509-{index}"]);
        for (name, file) in [("root", "root.pem"), ("intermediate", "intermediate.pem")] {
            let pem = std::fs::read(bootstrap.join(file)).unwrap();
            let body = serde_json::json!({"properties": {"certificate": STANDARD.encode(pem), "isVerified": true}});
            self.manage("PUT", &format!("/certificates/{name}"), &body);
        }
        let group = serde_json::json!({
            "enrollmentGroupId": "x509-fleet",
            "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "intermediate"}}},
            "credentialPolicyName": "default",
            "provisioningStatus": "enabled",
        });
        self.manage("PUT", "/enrollmentGroups/x509-fleet?api-version=2025-07-01-preview", &group);
    }

    fn manage(&self, method: &str, path: &str, body: &serde_json::Value) {
        let token = std::fs::read_to_string(self.connection.management_token_file.as_ref().unwrap()).unwrap();
        let address = self.connection.management.unwrap();
        let mut curl = Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body", "--request", method, "--data", "@-"])
            .args(["--header", "Content-Type: application/json", "--header"])
            .arg(format!("Authorization: Bearer {}", token.trim()))
            .arg(format!("http://{address}{path}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl is needed: apt-get install curl");
        curl.stdin.take().unwrap().write_all(body.to_string().as_bytes()).unwrap();
        let output = curl.wait_with_output().unwrap();
        assert!(output.status.success(), "{method} {path}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

/// The interpreter that has the SDK; `None`, said on stderr, when there is none and this is not CI.
pub(super) fn sdk_python() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sdk/bin/python");
    let python = std::env::var_os("FLEETSTORM_SDK_PYTHON").map_or(default, PathBuf::from);
    let imports = ["-c", "import azure.iot.device, cryptography"];
    let present = Command::new(&python).args(imports).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    if present {
        return Some(python);
    }
    let missing = format!(
        "NOT RUN: the official Python SDK is missing ({}); install it with `python3 -m venv target/sdk && \
         target/sdk/bin/pip install -r tests/sdk/requirements.txt`\n",
        python.display()
    );
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    // Not by a macro: what macros print is hidden when a test passes.
    let _ = std::io::stderr().write_all(missing.as_bytes());
    None
}
