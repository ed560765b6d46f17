//! An answer in words: the texts of its records, its code, its flags.
//!
//! Records are written as zone files have them, with tabs between the fields, so that regular
//! expressions made for blackbox_exporter match. What DNSSEC adds (RRSIG, ...) and types that have
//! no words here come in the form of RFC 3597: `\# 4 C0000201`.

use std::fmt::Write as _;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use wellcheck_core::fact::Found;

/// Most records of a section that are put into words; further ones are counted.
const MAX_RECORDS: usize = 1000;

/// What a name server answered.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The data of the answers that are of the type asked for.
    pub(super) answers: Vec<String>,
    /// How many of those there are.
    pub(super) count: usize,
    /// The section `answer`, each record whole.
    pub(super) records: Vec<String>,
    pub(super) authority: Vec<String>,
    pub(super) additional: Vec<String>,
    pub(super) code: String,
    pub(super) serial: Option<u32>,
    /// The lowest of the answers, in seconds.
    pub(super) ttl: Option<u32>,
    pub(super) authoritative: bool,
    pub(super) truncated: bool,
    pub(super) authenticated: bool,
    pub(super) recursion_desired: bool,
    pub(super) recursion_available: bool,
    pub(super) checking_disabled: bool,
    pub(super) transport: &'static str,
}

impl Seen {
    /// Reads the answer to a question for `kind`.
    pub(super) fn read(message: &Message, kind: RecordType, transport: &'static str) -> Self {
        let head = &message.metadata;
        let wanted = |record: &&Record| kind == RecordType::ANY || record.record_type() == kind;
        let texts = |records: &[Record]| records.iter().take(MAX_RECORDS).map(whole).collect();
        let serial = |record: &Record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        };
        let high = message.edns.as_ref().map_or(0, hickory_proto::op::Edns::rcode_high);
        Self {
            answers: message.answers.iter().filter(wanted).take(MAX_RECORDS).map(data).collect(),
            count: message.answers.iter().filter(wanted).count(),
            records: texts(&message.answers),
            authority: texts(&message.authorities),
            additional: texts(&message.additionals),
            code: code(head.response_code, high),
            serial: message.answers.iter().chain(&message.authorities).find_map(serial),
            ttl: message.answers.iter().map(|record| record.ttl).min(),
            authoritative: head.authoritative,
            truncated: head.truncation,
            authenticated: head.authentic_data,
            recursion_desired: head.recursion_desired,
            recursion_available: head.recursion_available,
            checking_disabled: head.checking_disabled,
            transport,
        }
    }
}

/// Tells conditions what `shown` says, and what `all` of those that answered have in common.
pub(super) fn tell(shown: Option<&Seen>, all: &[&Seen], asked: usize, found: &mut Found) {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    found.put("answers", shown.map(|seen| seen.answers.clone()).unwrap_or_default());
    found.put("answers.count", number(shown.map_or(0, |seen| seen.count)));
    let sorted = |seen: &&Seen| {
        let mut answers = seen.answers.clone();
        answers.sort_unstable();
        (seen.code.clone(), seen.count, answers)
    };
    let agree = all.len() == asked && all.windows(2).all(|two| sorted(&two[0]) == sorted(&two[1]));
    found.put("agree", agree);
    let Some(seen) = shown else { return };
    found.put("code", &*seen.code);
    if let Some(serial) = all.iter().filter_map(|seen| seen.serial).min() {
        found.put("serial", i64::from(serial));
    }
    if let Some(ttl) = all.iter().filter_map(|seen| seen.ttl).min() {
        found.put("ttl", f64::from(ttl));
    }
    found.put("authoritative", seen.authoritative);
    found.put("truncated", seen.truncated);
    found.put("authenticated", seen.authenticated);
    found.put("recursion-available", seen.recursion_available);
    found.put("authority", seen.authority.clone());
    found.put("additional", seen.additional.clone());
    found.put("transport", seen.transport);
}

/// A record as a line of a zone file.
fn whole(record: &Record) -> String {
    let class = match record.dns_class {
        DNSClass::IN => "IN".to_owned(),
        DNSClass::CH => "CH".to_owned(),
        DNSClass::HS => "HS".to_owned(),
        other => format!("CLASS{}", u16::from(other)),
    };
    format!(
        "{}\t{}\t{class}\t{}\t{}",
        record.name,
        record.ttl,
        type_name(record.record_type()),
        data(record)
    )
}

/// The data of a record.
fn data(record: &Record) -> String {
    match &record.data {
        RData::TXT(text) => {
            let quoted = |part: &[u8]| {
                let mut shown = String::from("\"");
                for byte in part {
                    match byte {
                        b'"' | b'\\' => shown.extend(['\\', char::from(*byte)]),
                        b' '..=b'~' => shown.push(char::from(*byte)),
                        other => {
                            write!(shown, "\\{other:03}").expect("writing to a string cannot fail");
                        }
                    }
                }
                shown.push('"');
                shown
            };
            let parts: Vec<String> = text.txt_data.iter().map(|part| quoted(part)).collect();
            parts.join(" ")
        }
        RData::Unknown { rdata, .. } | RData::NULL(rdata) => {
            let bytes = &rdata.anything;
            let mut shown = format!("\\# {}", bytes.len());
            for (at, byte) in bytes.iter().enumerate() {
                let space = if at == 0 { " " } else { "" };
                write!(shown, "{space}{byte:02X}").expect("writing to a string cannot fail");
            }
            shown
        }
        RData::OPT(_) => String::new(),
        other => other.to_string(),
    }
}

/// Types that the library has no names for.
const FURTHER: &[(u16, &str)] = &[
    (17, "RP"),
    (18, "AFSDB"),
    (29, "LOC"),
    (42, "APL"),
    (49, "DHCID"),
    (55, "HIP"),
    (63, "ZONEMD"),
    (99, "SPF"),
    (108, "EUI48"),
    (109, "EUI64"),
    (256, "URI"),
];

/// What cannot be asked for, since the answer would be something else than records.
const META: &[RecordType] = &[
    RecordType::AXFR,
    RecordType::IXFR,
    RecordType::OPT,
    RecordType::SIG,
    RecordType::TSIG,
    RecordType::ZERO,
];

/// The type of this name, or of the number behind `TYPE`.
pub(super) fn type_named(name: &str) -> Option<RecordType> {
    let name = name.to_ascii_uppercase();
    let number = |(number, known): &(u16, &str)| (*known == name).then_some(*number);
    let kind = match name.strip_prefix("TYPE").and_then(|number| number.parse::<u16>().ok()) {
        Some(number) => RecordType::from(number),
        None => match FURTHER.iter().find_map(number) {
            Some(number) => RecordType::from(number),
            None => name.parse().ok()?,
        },
    };
    (!META.contains(&kind)).then_some(kind)
}

/// The name of a type.
pub(super) fn type_name(kind: RecordType) -> String {
    let number = u16::from(kind);
    if let Some((_, name)) = FURTHER.iter().find(|(known, _)| *known == number) {
        return (*name).to_owned();
    }
    match kind {
        RecordType::Unknown(number) => format!("TYPE{number}"),
        known => known.to_string(),
    }
}

/// The codes that have a name.
pub(super) const CODES: &[(u16, &str)] = &[
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (16, "BADVERS"),
    (17, "BADKEY"),
    (18, "BADTIME"),
    (19, "BADMODE"),
    (20, "BADNAME"),
    (21, "BADALG"),
    (22, "BADTRUNC"),
    (23, "BADCOOKIE"),
];

fn code(code: ResponseCode, high: u8) -> String {
    let number = u16::from(code) & 0xf | u16::from(high) << 4;
    let known = CODES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("RCODE{number}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_names_and_numbers() {
        for (name, number) in
            [("A", 1), ("mx", 15), ("CAA", 257), ("URI", 256), ("TYPE65280", 65280)]
        {
            let kind = type_named(name).expect(name);
            assert_eq!(u16::from(kind), number);
            assert_eq!(type_name(kind), name.to_uppercase());
        }
        assert_eq!(type_named("TYPE1"), Some(RecordType::A));
        assert_eq!(type_named("any"), Some(RecordType::ANY));
        for bad in ["", "B", "TYPE", "TYPE65536", "AXFR", "TYPE41", "TYPE-1"] {
            assert_eq!(type_named(bad), None, "{bad}");
        }
    }

    #[test]
    fn codes_have_their_high_bits_in_the_additional_section() {
        assert_eq!(code(ResponseCode::NXDomain, 0), "NXDOMAIN");
        assert_eq!(code(ResponseCode::NoError, 1), "BADVERS");
        assert_eq!(code(ResponseCode::from_low(11), 0), "RCODE11");
    }
}
