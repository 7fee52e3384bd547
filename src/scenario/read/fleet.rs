//! The table `[fleet]`: what all devices have, and the classes that differ from it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use super::{behaviour, name_of, network};
use crate::domain::{CryptoProvider, FleetTime, KeyAlgorithm, KeySource, TimeScale, TlsVersions, Transport, named};
use crate::scenario::{Attestation, Behaviour, DeviceClass, Fleet, IdPattern, Mix, Network};
use crate::settings::Section;
use crate::settings::expect::{self, Expect, boolean, choice, count, fleet_time};

/// Most classes of a fleet; reports have a row for each.
const MOST_CLASSES: usize = 32;
/// A year in a minute lets SAS tokens of ten minutes live for ten years of the fleet.
const LONGEST_TOKEN_LIFE: FleetTime = FleetTime::from_secs(20 * 366 * 86_400);
/// Real time that a SAS token lives at least: an attempt takes longer than a moment.
const SHORTEST_TOKEN_LIFE: Duration = Duration::from_secs(30);
/// Real time that it lives unless the scenario says otherwise, if an hour of fleet time is shorter.
const USUAL_TOKEN_LIFE: Duration = Duration::from_secs(600);
const HOUR: FleetTime = FleetTime::from_secs(3_600);

named! {
    /// [`Attestation`] without what belongs to it.
    enum AttestationKind {
        SymmetricKey = "symmetric-key",
        X509 = "x509",
    }
}

/// What classes inherit from the fleet and may say anew.
struct Traits {
    key_algorithm: KeyAlgorithm,
    keys: KeySource,
    tls: TlsVersions,
    tls_resumption: bool,
    transport: Transport,
    attestation: AttestationKind,
    bootstrap_dir: PathBuf,
    behaviour: Behaviour,
    network: Network,
}

impl Traits {
    fn into_class(self, name: String, share: u32) -> DeviceClass {
        let attestation = match self.attestation {
            AttestationKind::SymmetricKey => Attestation::SymmetricKey,
            AttestationKind::X509 => Attestation::X509 { bootstrap_dir: self.bootstrap_dir },
        };
        DeviceClass {
            name,
            share,
            key_algorithm: self.key_algorithm,
            keys: self.keys,
            tls: self.tls,
            tls_resumption: self.tls_resumption,
            transport: self.transport,
            attestation,
            behaviour: self.behaviour,
            network: self.network,
        }
    }
}

/// A key of the fleet, with a default, or of a class, which inherits it.
fn take<T>(
    section: &mut Section<'_>,
    key: &'static str,
    inherited: Option<T>,
    default: &str,
    expect: &Expect<T>,
) -> Option<T> {
    match inherited {
        Some(inherited) => section.inherit(key, inherited, expect),
        None => section.or(key, default, expect),
    }
}

fn read_traits(section: &mut Section<'_>, from: Option<&Traits>) -> Option<Traits> {
    let key_algorithm = take(
        section,
        "key_algorithm",
        from.map(|f| f.key_algorithm),
        KeyAlgorithm::EcdsaP256.name(),
        &choice(&KeyAlgorithm::NAMED),
    );
    let keys = take(section, "keys", from.map(|f| f.keys), "fresh", &choice(&KeySource::NAMED));
    let tls = take(section, "tls", from.map(|f| f.tls), "any", &choice(&TlsVersions::NAMED));
    let tls_resumption = take(section, "tls_resumption", from.map(|f| f.tls_resumption), "false", &boolean());
    let transport =
        take(section, "transport", from.map(|f| f.transport), Transport::default().name(), &choice(&Transport::NAMED));
    let attestation =
        take(section, "attestation", from.map(|f| f.attestation), "symmetric-key", &choice(&AttestationKind::NAMED));
    let folder = expect::text("the folder that `fleetstorm pki --dir` made").then(|text| Ok(PathBuf::from(text)));
    let inherited = from.map_or_else(|| PathBuf::from("pki"), |f| f.bootstrap_dir.clone());
    let bootstrap_dir = section.inherit("bootstrap_dir", inherited, &folder);
    let behaviour = behaviour::read(section.section("behaviour"), from.map(|f| &f.behaviour));
    let network = network::read(section.section("network"), from.map(|f| &f.network));
    Some(Traits {
        key_algorithm: key_algorithm?,
        keys: keys?,
        tls: tls?,
        tls_resumption: tls_resumption?,
        transport: transport?,
        attestation: attestation?,
        bootstrap_dir: bootstrap_dir?,
        behaviour: behaviour?,
        network: network?,
    })
}

/// What contradicts itself in a class, which `section` describes.
fn check(section: &mut Section<'_>, traits: &Traits, provider: Option<CryptoProvider>) {
    let algorithm = traits.key_algorithm;
    if traits.keys == KeySource::Seeded && algorithm.rsa_bits().is_some() {
        section.problem(
            "keys",
            &format!("cannot be \"seeded\" for {algorithm} keys: RSA keys are not made from a seed"),
            "use keys = \"fresh\", or an ECDSA key_algorithm",
        );
    }
    if provider == Some(CryptoProvider::Ring) && algorithm.rsa_bits().is_some() {
        section.problem(
            "key_algorithm",
            &format!("cannot be {algorithm} with crypto_provider = \"ring\", which does not generate RSA keys"),
            "use crypto_provider = \"aws-lc-rs\", or an ECDSA key_algorithm",
        );
    }
}

fn refuse_bootstrap_dir(section: &mut Section<'_>) {
    if section.has("bootstrap_dir") {
        section.problem(
            "bootstrap_dir",
            "is of no use: devices attest with a symmetric key",
            "add attestation = \"x509\", or leave it away",
        );
    }
}

pub(super) fn read(mut section: Section<'_>, time_scale: Option<TimeScale>) -> Option<Fleet> {
    let devices = section.required("devices", &count(1..=Fleet::MAX_DEVICES));
    let pattern: Expect<IdPattern> = expect::text(IdPattern::VALID).then(|text| IdPattern::new(&text));
    let registration_id = section.or("registration_id", "device-{index:06}", &pattern);
    let crypto_provider =
        section.or("crypto_provider", CryptoProvider::default().name(), &choice(&CryptoProvider::NAMED));
    let token_life = read_token_life(&mut section, time_scale.unwrap_or_default());
    let traits = read_traits(&mut section, None);
    let classes = read_classes(&mut section, traits, crypto_provider);
    section.finish();
    let classes = classes?;
    let shares: Vec<u32> = classes.iter().map(|class| class.share).collect();
    Some(Fleet {
        devices: devices?,
        registration_id: registration_id?,
        crypto_provider: crypto_provider?,
        token_life: token_life?,
        mix: Mix::new(&shares),
        classes,
    })
}

fn read_token_life(section: &mut Section<'_>, time_scale: TimeScale) -> Option<FleetTime> {
    let usual = time_scale.to_fleet(USUAL_TOKEN_LIFE).max(HOUR);
    let valid = fleet_time(FleetTime::from_secs(1)..=LONGEST_TOKEN_LIFE);
    let life = section.or("token_life", &usual.to_string(), &valid)?;
    let real = time_scale.to_real(life);
    if real < SHORTEST_TOKEN_LIFE {
        let shortest = time_scale.to_fleet(SHORTEST_TOKEN_LIFE);
        let message = format!(
            "is only {} of real time: an attempt may take longer than its SAS token would live",
            humantime::format_duration(Duration::from_millis(u64::try_from(real.as_millis()).unwrap_or(u64::MAX)))
        );
        let help = match time_scale.is_real() {
            true => format!("make it at least {shortest}"),
            false => format!("make it at least {shortest} of fleet time, or lower time_scale ({time_scale})"),
        };
        section.problem("token_life", &message, &help);
    }
    Some(life)
}

fn read_classes(
    section: &mut Section<'_>,
    traits: Option<Traits>,
    provider: Option<CryptoProvider>,
) -> Option<Vec<DeviceClass>> {
    let how = "write `[[fleet.class]]` with `name`, `share` and what is different in this class";
    let sections = section.sections_if_any("class", how);
    if sections.len() > MOST_CLASSES {
        let message = format!("are {}, but a fleet has at most {MOST_CLASSES}", sections.len());
        section.problem("class", &message, "put classes together");
    }
    if sections.is_empty() {
        let traits = traits?;
        if traits.attestation == AttestationKind::SymmetricKey {
            refuse_bootstrap_dir(section);
        }
        check(section, &traits, provider);
        return Some(vec![traits.into_class("all".to_owned(), 1)]);
    }
    let mut classes: Vec<DeviceClass> = Vec::with_capacity(sections.len());
    let mut names = HashSet::new();
    let mut complete = sections.len() <= MOST_CLASSES;
    for mut section in sections {
        let name = section.required("name", &name_of("class"));
        if let Some(name) = &name
            && !names.insert(name.clone())
        {
            section.problem("name", "is the name of another class too", "give every class its own name");
        }
        let share = section.or("share", "1", &count(1..=10_000));
        let own = read_traits(&mut section, traits.as_ref());
        if let (Some(own), true) = (&own, traits.is_some()) {
            if own.attestation == AttestationKind::SymmetricKey {
                refuse_bootstrap_dir(&mut section);
            }
            check(&mut section, own, provider);
        }
        section.finish();
        match (name, share, own) {
            (Some(name), Some(share), Some(own)) => classes.push(own.into_class(name, share)),
            _ => complete = false,
        }
    }
    // A folder that only stands beside the classes is theirs, if one of them has use for it.
    if complete && !classes.iter().any(|class| matches!(class.attestation, Attestation::X509 { .. })) {
        refuse_bootstrap_dir(section);
    }
    (complete && traits.is_some()).then_some(classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::scenario::tests::{STAGES, told};

    const NOTHING: [&str; 0] = [];

    #[test]
    fn keys_that_a_class_cannot_have_are_told() {
        let seeded = "cannot be \"seeded\" for rsa-2048 keys: RSA keys are not made from a seed";
        let rsa = [("fleet.key_algorithm", "rsa-2048"), ("fleet.keys", "seeded")];
        assert_eq!(told(&rsa), [format!("`fleet.keys` {seeded}")]);
        assert_eq!(told(&rsa[..1]), NOTHING);
        assert_eq!(told(&rsa[1..]), NOTHING);
        let ring = "cannot be rsa-2048 with crypto_provider = \"ring\", which does not generate RSA keys";
        assert_eq!(told(&[rsa[0], ("fleet.crypto_provider", "ring")]), [format!("`fleet.key_algorithm` {ring}")]);
        let class = ("fleet.class", "[{ name = 'a' }, { name = 'b', key_algorithm = 'rsa-2048', keys = 'seeded' }]");
        assert_eq!(told(&[class]), [format!("`fleet.class.b.keys` {seeded}")]);
    }

    #[test]
    fn a_folder_of_certificates_is_somebodys() {
        let folder = ("fleet.bootstrap_dir", "there");
        let useless = |key: &str| [format!("`{key}` is of no use: devices attest with a symmetric key")];
        assert_eq!(told(&[folder]), useless("fleet.bootstrap_dir"));
        assert_eq!(told(&[folder, ("fleet.attestation", "x509")]), NOTHING);
        let classes = |more: &str| format!("[{{ name = 'a' }}, {{ name = 'b'{more} }}]");
        let of_classes = |more: &str| told(&[folder, ("fleet.class", &classes(more))]);
        assert_eq!(of_classes(""), useless("fleet.bootstrap_dir"));
        assert_eq!(of_classes(", attestation = 'x509'"), NOTHING);
        let own = |more: &str| told(&[("fleet.class", &classes(more))]);
        assert_eq!(own(", bootstrap_dir = 'mine'"), useless("fleet.class.b.bootstrap_dir"));
        assert_eq!(own(", bootstrap_dir = 'mine', attestation = 'x509'"), NOTHING);
    }

    #[test]
    fn one_mistake_in_a_class_is_one_problem() {
        let folder = ("fleet.bootstrap_dir", "there");
        let share = ["`fleet.class.b.share` cannot be 0"];
        let class = ("fleet.class", "[{ name = 'a' }, { name = 'b', share = 0 }]");
        assert_eq!(told(&[folder, class]), share, "whether the folder is of use is another question");
        assert_eq!(told(&[class, ("stage.again.classes", "['a', 'b']")]), share, "its name is known");
        let twice = ("fleet.class", "[{ name = 'a' }, { name = 'a' }]");
        assert_eq!(told(&[twice]), ["`fleet.class.a.name` is the name of another class too"]);
    }

    #[test]
    fn tokens_live_for_an_hour_or_ten_minutes_of_real_time() {
        let life = |sets: &[(&str, &str)]| {
            let sets: Vec<_> = sets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            Scenario::parse("x.toml", STAGES, &sets).unwrap().fleet.token_life
        };
        assert_eq!(life(&[]), FleetTime::from_secs(3_600));
        assert_eq!(life(&[("time_scale", "6")]), FleetTime::from_secs(3_600));
        assert_eq!(life(&[("time_scale", "60")]), FleetTime::from_secs(36_000));
        assert_eq!(life(&[("fleet.token_life", "45s")]), FleetTime::from_secs(45));
    }
}
