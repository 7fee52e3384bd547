use crate::domain::IdScope;
use crate::scenario::{Target, TargetAddress};
use crate::settings::Section;
use crate::settings::expect;

pub(super) fn read(mut section: Section<'_>) -> Option<Target> {
    let address = expect::text("\"embedded\", host[:port] of DPS, or a path that ends with .json")
        .then(|text| TargetAddress::parse(&text));
    let address = section.or("address", "embedded", &address);
    let id_scope = expect::text("the id scope of the DPS instance, such as \"0ne00000001\"")
        .then(|text| IdScope::new(&text).map_err(|e| e.to_string()));
    let id_scope = section.optional("id_scope", &id_scope);
    let group_key_file = section.optional("group_key_file", &expect::path("a file with the group key in base64"));
    let ca_file = section.optional("ca_file", &expect::path("a PEM file with the roots of the servers' certificates"));
    let issuing_root_file =
        section.optional("issuing_root_file", &expect::path("a PEM file with the issuing authority"));
    if let Some(TargetAddress::Host { .. }) = address {
        // Its key may come from the environment instead of a file, which is not the scenario's business.
        if !section.has("id_scope") {
            section.problem("id_scope", "is missing", "a service that is not the emulator needs its id scope");
        }
    }
    section.finish();
    Some(Target {
        address: address?,
        id_scope: id_scope?,
        group_key_file: group_key_file?,
        ca_file: ca_file?,
        issuing_root_file: issuing_root_file?,
    })
}
