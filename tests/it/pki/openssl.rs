use std::path::Path;
use std::process::{Command, Output};

/// Runs openssl in a folder. It is needed: a machine without it fails the test.
pub(super) fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("openssl");
    command.current_dir(folder).env("PFX_PASSWORD", super::fleet::PASSWORD).args(arguments);
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("this test needs the openssl command (Debian: apt-get install openssl): {error}"),
    }
}

/// Runs openssl, which must succeed, and gives what it printed.
pub(super) fn good(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "openssl {}: {text}", arguments.join(" "));
    text
}
