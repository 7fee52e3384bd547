//! `fleetstorm pki`: the certificates with which a fleet attests to DPS, without openssl.

mod authorities;
mod devices;
mod error;
mod files;

use std::path::PathBuf;

use crate::cli::{CommandError, Exit, Terminal};
use crate::domain::KeyAlgorithm;
use crate::pki::bootstrap::Folder;
use crate::pki::store::Existing;
use authorities::{IntermediateArgs, ProofArgs, RootArgs};
use devices::DevicesArgs;
pub(in crate::cli) use devices::PASSWORD_ENV;

/// Arguments of `fleetstorm pki`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = LONG_HELP)]
pub struct PkiArgs {
    /// What to make.
    #[command(subcommand)]
    pub command: PkiCommand,
}

/// What can be made.
#[derive(Debug, clap::Subcommand)]
pub enum PkiCommand {
    /// Make a root authority
    Root(RootArgs),
    /// Make an intermediate authority under the root, and the chain file
    Intermediate(IntermediateArgs),
    /// Make the proof of possession that DPS asks for when an authority is uploaded
    Proof(ProofArgs),
    /// Make bootstrap certificates of devices, in bulk
    Devices(DevicesArgs),
}

/// Where files go.
#[derive(Debug, clap::Args)]
pub struct FolderArgs {
    /// Folder of the authorities; devices are in its subfolder devices/
    #[arg(long, value_name = "DIR", default_value = "pki")]
    pub dir: PathBuf,
    /// Overwrite files that are there already. Keys that are overwritten are lost
    #[arg(long)]
    pub force: bool,
}

/// Key and validity of a certificate.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// Algorithm of the key: ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096
    #[arg(long, value_name = "ALGORITHM", default_value_t = KeyAlgorithm::EcdsaP256)]
    pub key_algorithm: KeyAlgorithm,
}

const LONG_HELP: &str = "\
Examples:
  fleetstorm pki root
  fleetstorm pki intermediate
      two authorities in pki/: root.pem, intermediate.pem, chain.pem and their keys
  fleetstorm pki proof --code 75B86466DA34D2B04C0C4C9557A119687ADAE7D4732BDDB3
      what DPS wants to see before it trusts the intermediate (for the root: --of root)
  fleetstorm pki devices --count 5000
      device-000000 to device-004999 in pki/devices/, on all cores
  fleetstorm pki devices --scenario scenarios/smoke.toml
      exactly the devices of that scenario
  fleetstorm pki devices sensor-1 sensor-2 --export pfx --password-file password.txt
      PKCS#12 files instead of PEM

Certificates are readable by all, private keys by their owner alone (mode 0600).
They are not encrypted: these authorities are for tests. Nothing is overwritten without --force.
With --json the files that were written are listed on stdout.

Ends with code 1 when a file is there already, or cannot be read or written, and with 2 for a wrong command line.";

/// Runs the command.
///
/// # Errors
/// A file exists, cannot be read or written, or a certificate cannot be made as asked for.
pub fn run(args: PkiArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    match args.command {
        PkiCommand::Root(args) => authorities::root(args, terminal)?,
        PkiCommand::Intermediate(args) => authorities::intermediate(args, terminal)?,
        PkiCommand::Proof(args) => authorities::proof(args, terminal)?,
        PkiCommand::Devices(args) => devices::run(args, terminal)?,
    }
    Ok(Exit::Done)
}

impl FolderArgs {
    fn resolve(self) -> (Folder, Existing) {
        let Self { dir, force } = self;
        (Folder::new(dir), if force { Existing::Replace } else { Existing::Keep })
    }
}
