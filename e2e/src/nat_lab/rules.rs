//! The rules of nft(8) that make a host a gateway, and those that block traffic. Knows no namespaces.

use std::net::Ipv4Addr;

use super::topology::{Gateway, Side, WanInput};

/// Removes all rules.
const REMOVE_ALL: &str = "flush ruleset\n";

/// The rules of a gateway between `lan` and `wan`, which replace all others. `public` is its address in the public
/// network.
pub(crate) fn gateway(
    gateway: Gateway,
    wan_input: WanInput,
    public: Ipv4Addr,
    hairpin: bool,
) -> String {
    let nat = if gateway.translates() { nat(gateway, public, hairpin) } else { String::new() };
    if gateway == Gateway::Public {
        return REMOVE_ALL.to_owned();
    }
    let input = match wan_input {
        WanInput::Drop => "iifname wan ct state new meta l4proto { tcp, udp } drop",
        WanInput::Reject => "iifname wan ct state new meta l4proto { tcp, udp } reject",
        WanInput::Accept => "accept",
    };
    let unsolicited =
        if gateway == Gateway::FullCone { "iifname wan ct status dnat accept" } else { "" };
    format!(
        "{REMOVE_ALL}{nat}
        table inet filter {{
            chain input {{
                type filter hook input priority filter
                {input}
            }}
            chain forward {{
                type filter hook forward priority filter
                policy drop
                iifname lan accept
                ct state established,related accept
                meta l4proto icmpv6 accept
                {unsolicited}
            }}
        }}\n"
    )
}

/// Address translation. A cone NAT keeps the client's port, and a map of the clients' ports to their addresses,
/// because conntrack alone knows a mapping only together with its destination. The map is wrong if two clients
/// send from the same port.
fn nat(gateway: Gateway, public: Ipv4Addr, hairpin: bool) -> String {
    let to_client = "meta l4proto udp dnat ip to udp dport map @mappings";
    let unsolicited = match gateway {
        Gateway::FullCone => format!("iifname wan ip daddr {public} {to_client}"),
        _ => String::new(),
    };
    let (to_peer, from_peer) = if hairpin {
        (
            format!("iifname lan ip daddr {public} {to_client}"),
            format!("oifname lan ip saddr 10.0.0.0/8 ct status dnat snat ip to {public}"),
        )
    } else {
        Default::default()
    };
    let (record, random) = if gateway.keeps_mapping() {
        let record =
            "oifname wan meta l4proto udp update @mappings { udp sport : ip saddr . udp sport }";
        (record, "")
    } else {
        ("", "random,fully-random")
    };
    format!(
        "table ip nat {{
            map mappings {{
                type inet_service : ipv4_addr . inet_service
                flags dynamic
                size 65535
            }}
            chain prerouting {{
                type nat hook prerouting priority dstnat
                {unsolicited}
                {to_peer}
            }}
            chain postrouting {{
                type nat hook postrouting priority srcnat
                {from_peer}
                {record}
                oifname wan masquerade {random}
            }}
        }}"
    )
}

/// Drops the UDP packets that are forwarded between the networks of the clients. Of the family `inet` for a
/// router, `bridge` for a bridge.
pub(crate) fn block_client_udp(family: &str) -> String {
    format!(
        "table {family} client_udp {{
            chain forward {{
                type filter hook forward priority filter
                iifname net_a oifname net_b meta l4proto udp drop
                iifname net_b oifname net_a meta l4proto udp drop
            }}
        }}\n"
    )
}

/// Drops the UDP packets of the hairpin.
pub(crate) fn block_hairpin() -> &'static str {
    "table inet client_udp {
        chain forward {
            type filter hook forward priority filter
            iifname lan oifname lan meta l4proto udp drop
        }
    }\n"
}

/// Removes the rules of [`block_client_udp`] and [`block_hairpin`].
pub(crate) fn unblock_client_udp(family: &str) -> String {
    format!("delete table {family} client_udp\n")
}

/// Drops everything to and from a network; nothing is reported to senders.
pub(crate) fn cut(side: Side) -> String {
    let interface = side.interface();
    format!(
        "table inet cut_{interface} {{
            chain forward {{
                type filter hook forward priority filter
                iifname {interface} drop
                oifname {interface} drop
            }}
        }}\n"
    )
}

/// Removes the rules of [`cut`].
pub(crate) fn restore(side: Side) -> String {
    format!("delete table inet cut_{}\n", side.interface())
}
