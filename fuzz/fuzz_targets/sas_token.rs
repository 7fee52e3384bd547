//! Passwords that are or look like SAS tokens.
#![no_main]

use std::sync::LazyLock;

use fleetstorm::domain::{SasToken, percent_decode, percent_encode};
use fleetstorm::pki::sas::SymmetricKey;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<SymmetricKey> = LazyLock::new(SymmetricKey::random);

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert_eq!(percent_decode(&percent_encode(text)).as_deref(), Some(text));
    let _ = percent_decode(text);
    let _ = SymmetricKey::from_base64(text);
    if let Ok(token) = SasToken::parse(text) {
        assert_eq!(SasToken::parse(&token.to_text()), Ok(token.clone()));
        let _ = token.resource();
        assert!(!KEY.verifies(&token), "nobody knows the key");
    }
});
