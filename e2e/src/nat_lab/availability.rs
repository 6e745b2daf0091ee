//! Whether this machine can run labs. Tries everything that a lab uses, once.

use crate::namespace::{MissingFeature, check_availability};

/// Rules that use each kind of table and expression of a lab.
const RULES: &str = "
    table bridge t { chain c {
        type filter hook forward priority filter
        meta l4proto udp drop
    }\n }
    table inet t { chain c {
        type filter hook forward priority filter
        ct state new reject
    }\n }
    table ip t { chain c {
        type nat hook postrouting priority srcnat
        masquerade random,fully-random
    }\n }\n";

/// Tries what a lab needs.
pub(crate) fn check() -> Result<(), MissingFeature> {
    let namespace = check_availability(&[("nft", "nftables")])?;
    namespace
        .nft(RULES)
        .map_err(|error| MissingFeature(format!("the kernel lacks NAT or filters: {error}")))
}
