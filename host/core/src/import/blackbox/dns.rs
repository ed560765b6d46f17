//! The prober `dns`: a question, and patterns that the records of the answer must match or must not.

use regex::Regex;

use super::http;
use crate::import::context::{Context, Fields, shown};
use crate::import::http::Request;
use crate::import::write::{Item, Text};

/// The sections of an answer, there and here.
const SECTIONS: &[(&str, &str)] = &[
    ("validate_answer_rrs", "answer"),
    ("validate_authority_rrs", "authority"),
    ("validate_additional_rrs", "additional"),
];

/// What patterns are for, there and here.
const RULES: &[(&str, &str)] = &[
    ("fail_if_none_matches_regexp", "expect-matches"),
    ("fail_if_not_matches_regexp", "expect-all-match"),
    ("fail_if_matches_regexp", "refuse-matches"),
    ("fail_if_all_match_regexp", "refuse-all-match"),
];

pub(super) fn request(mut fields: Fields<'_>, context: &mut Context<'_>) -> Request {
    let mut request = Request::default();
    let what = fields.what().to_owned();
    let mut put = |key, item: Item| request.further.push((key, item));
    match fields.text("query_name", context) {
        Some((name, _)) if !name.is_empty() => put("query-name", name.into()),
        _ => put("query-name", ".".into()),
    }
    let sort = fields.text("query_type", context).map(|(sort, _)| sort);
    // Without a type it asks for all of them there.
    put("query-type", sort.filter(|sort| !sort.is_empty()).unwrap_or("ANY").into());
    if let Some((class, _)) = fields.text("query_class", context)
        && !class.is_empty()
    {
        put("query-class", class.into());
    }
    let tls = fields.boolean("dns_over_tls", context).is_some_and(|(tls, _)| tls);
    match fields.text("transport_protocol", context) {
        _ if tls => put("transport", "tls".into()),
        Some((word, _)) if word.starts_with("tcp") => put("transport", "tcp".into()),
        _ => {}
    }
    // There an answer over UDP that is cut is judged as it came, and one question is asked.
    put("tcp-fallback", false.into());
    if let Some((false, _)) = fields.boolean("recursion_desired", context) {
        put("recursion", false.into());
    }
    // Whether there are any is left to the patterns.
    put("minimum-answers", 0.into());
    if let Some((codes, _)) = fields.texts("valid_rcodes", context)
        && !codes.is_empty()
    {
        let codes = codes.into_iter().map(|(code, _)| Item::from(code)).collect();
        put("expect-code", Item::one_or_many(codes));
    }
    let mut rules: Vec<Vec<(String, Item)>> = vec![Vec::new(); RULES.len()];
    for (key, section) in SECTIONS {
        let Some((mut section_fields, _)) = fields.fields(key, context) else { continue };
        for ((rule, _), sections) in RULES.iter().zip(&mut rules) {
            let patterns = patterns(&mut section_fields, rule, context);
            if !patterns.is_empty() {
                sections.push(((*section).to_owned(), Item::one_or_many(patterns)));
            }
        }
        section_fields.finish(context);
    }
    for ((_, key), sections) in RULES.iter().zip(rules) {
        if !sections.is_empty() {
            put(key, Item::Table(sections));
        }
    }
    http::tls(&mut fields, &mut request, context);
    http::family(&mut fields, &mut request, context);
    if !tls {
        // Keys about TLS would say nothing to a check that does not speak it.
        let ours = ["tls-client-certificate", "tls-client-key"];
        let had = request.tls_insecure
            || request.tls_ca.take().is_some()
            || request.tls_server_name.take().is_some()
            || request.further.iter().any(|(key, _)| ours.contains(key));
        request.tls_insecure = false;
        request.further.retain(|(key, _)| !ours.contains(key));
        if had {
            let mark = fields.take("tls_config").map(|pair| pair.mark).unwrap_or_default();
            let message = format!(
                "`tls_config` of {what} is left out: without `dns_over_tls` nobody reads it"
            );
            context.note(mark, message);
        }
    }
    fields.leave_out(&[("source_ip_address", "the system chooses the address")], context);
    fields.finish(context);
    request
}

fn patterns(fields: &mut Fields<'_>, key: &str, context: &mut Context<'_>) -> Vec<Item> {
    let Some((patterns, _)) = fields.texts(key, context) else { return Vec::new() };
    let what = fields.what();
    let usable = patterns.into_iter().filter_map(|(pattern, mark)| {
        if Regex::new(pattern).is_err() {
            let message = format!(
                "`{}` in `{key}` of {what} is left out: it is no pattern here",
                shown(pattern)
            );
            context.note(mark, message);
            return None;
        }
        Some(Item::from(Text::literal(pattern)))
    });
    usable.collect()
}
