//! What the system gives as bytes, as text.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// The text as it stands, with every byte that is none as `\xFF`, so that two different names stay different.
pub fn told(text: &OsStr) -> String {
    let mut told = String::new();
    for chunk in text.as_bytes().utf8_chunks() {
        told.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| told.push_str(&format!("\\x{byte:02X}")));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_told() {
        assert_eq!(told(OsStr::new("größer")), "größer");
        assert_eq!(told(OsStr::from_bytes(b"a\xff\xfe\xe2\x82z")), r"a\xFF\xFE\xE2\x82z");
    }
}
