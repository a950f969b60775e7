//! A fingerprint of texts, by which it shows that generated files no longer belong to their sources.

/// Fingerprint of named texts: FNV-1a over names and texts, in the order of names.
///
/// It guards against forgetting, not against malice, and needs no dependency.
pub fn fingerprint<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut texts: Vec<(&str, &str)> = texts.into_iter().collect();
    texts.sort_unstable();
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in texts.iter().flat_map(|(name, text)| [*name, "\0", *text, "\0"]).flat_map(str::bytes) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:016x}")
}
