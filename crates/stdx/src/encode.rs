//! Hexadecimal and unpadded base64url, both strict on the way in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub fn hex(bytes: &[u8]) -> String {
    let mut text = vec![b'0'; bytes.len() * 2];
    hex_into(bytes, &mut text);
    // INVARIANT: it is ASCII.
    String::from_utf8(text).unwrap_or_default()
}

/// Writes two digits for each byte, as far as there is room.
pub fn hex_into(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, [high, low]) in bytes.iter().zip(text.as_chunks_mut::<2>().0) {
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble & 15)).copied().unwrap_or(b'?');
        (*high, *low) = (digit(byte >> 4), digit(*byte));
    }
}

/// Lower case only: one value has one written form.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}

pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn unbase64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
