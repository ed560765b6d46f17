//! Addresses: one spelling for each, and which of them everybody reaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One spelling per address: v4-mapped, v4-compatible, NAT64 and 6to4 addresses become the v4
/// address that they carry.
pub fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low).into(),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => embedded(high, low).into(),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low).into(),
        [0x2002, high, low, ..] => embedded(high, low).into(),
        _ => ip,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

/// Whether everybody on the internet reaches the same machine by this address. Where that is
/// doubtful, it is not public.
pub fn is_public(ip: IpAddr) -> bool {
    match canonical(ip) {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, d] = ip.octets();
    !(a == 0
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        // Looks public, and is where Azure's machines get their metadata.
        || (a == 168 && b == 63 && c == 129 && d == 16))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // Only 2000::/3 is handed out. Carved from it are the protocols' own block with Teredo in it,
    // documentation, and addresses whose lower half stands for a private v4 address (ISATAP).
    let segments = ip.segments();
    (0x2000..0x4000).contains(&segments[0])
        && !(segments[0] == 0x2001 && segments[1] < 0x0200)
        && !(segments[0] == 0x2001 && segments[1] == 0x0db8)
        && !(segments[0] == 0x3fff && segments[1] < 0x1000)
        && match segments {
            [.., 0 | 0x0200, 0x5efe, high, low] => is_public_v4(embedded(high, low)),
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn addresses_that_carry_a_v4_address_are_that_address() {
        for text in [
            "::ffff:10.0.0.7",
            "::ffff:a00:7",
            "::10.0.0.7",
            "64:ff9b::10.0.0.7",
            "64:ff9b::a00:7",
            "2002:a00:7::",
            "2002:a00:7:1:2:3:4:5",
        ] {
            assert_eq!(canonical(ip(text)), ip("10.0.0.7"), "{text}");
        }
        for text in ["::", "::1", "fe80::1", "64:ff9b:1::a00:7", "2001:0:a00:7::", "::ffff:0:a00:7"]
        {
            assert_eq!(canonical(ip(text)), ip(text), "{text}");
        }
    }

    #[test]
    fn private_networks_are_not_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:0:127.0.0.1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "ff02::1",
            "ff0e::1",
            "100::1",
            "5f00::1",
            "2001::7f00:1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "3fff::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "64:ff9b:1::808:808",
            "2002:a00:1::",
            "2002:7f00:1::1",
            "2600:1f00::5efe:10.0.0.1",
            "2600:1f00::200:5efe:127.0.0.1",
        ] {
            assert!(!is_public(ip(text)), "{text}");
        }
        for text in [
            "1.1.1.1",
            "93.184.215.14",
            "168.63.129.15",
            "172.32.0.1",
            "192.88.98.1",
            "2606:4700:4700::1111",
            "64:ff9b::101:101",
            "2002:101:101::1",
            "2600:1f00::5efe:1.1.1.1",
        ] {
            assert!(is_public(ip(text)), "{text}");
        }
    }
}
