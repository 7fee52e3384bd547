//! SAS tokens, as they come in MQTT passwords and `Authorization` headers.
#![no_main]

use std::sync::LazyLock;

use fleetstorm::domain::{SasToken, percent_decode, percent_encode};
use fleetstorm::pki::sas::SymmetricKey;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<SymmetricKey> = LazyLock::new(SymmetricKey::random);

fuzz_target!(|text: &str| {
    for text in [text.to_owned(), format!("SharedAccessSignature {text}")] {
        if let Ok(token) = SasToken::parse(&text) {
            assert!(!KEY.verifies(&token), "nobody guesses a random key");
            let _ = token.resource();
            let again = SasToken::parse(&token.to_text()).expect("what was read can be written");
            assert_eq!(again, token);
        }
    }
    assert_eq!(percent_decode(&percent_encode(text)).as_deref(), Some(text));
});
