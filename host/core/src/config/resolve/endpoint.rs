//! `[[endpoint]]` and `[[listen]]`.

use std::collections::{BTreeMap, BTreeSet};

use super::Resolver;
use crate::config::keys;
use crate::config::problem;
use crate::config::reader::Reader;
use crate::config::tree::{Place, Table, Value};
use crate::endpoint::{Codes, Detail, EndpointSpec, ListenSpec, MAIN, Pick, Protocol};
use crate::format::FORMATS;
use crate::id::CheckName;
use crate::status::Status;

/// Longest path, in bytes.
const MAX_PATH: usize = 200;

impl Resolver<'_> {
    pub(super) fn endpoint(&mut self, table: Table) -> Option<EndpointSpec> {
        let place = table.place.clone();
        let what = match table.entries.get("path").map(|entry| &entry.node.value) {
            Some(Value::String(path)) => format!("endpoint `{}`", path.shown().escape_debug()),
            _ => "this endpoint".to_owned(),
        };
        let mut reader = Reader::new(what, table, &[keys::ENDPOINT]);
        if !reader.has("path") {
            reader.missing("path", &mut self.problems);
        }
        let path = reader.parsed("path", &mut self.problems, |text| path(&text.value));
        let formats: Vec<(&'static str, usize)> =
            FORMATS.iter().enumerate().map(|(index, format)| (format.name(), index)).collect();
        let format = reader.word("format", &formats, &mut self.problems);
        let names = self.names(&mut reader, "names");
        let exclude = self.names(&mut reader, "exclude");
        let tags = reader.texts("tags", &mut self.problems).into_iter().map(|t| t.value).collect();
        let codes = self.codes(&mut reader);
        let detail = reader.word("detail", Detail::WORDS, &mut self.problems).unwrap_or_default();
        let detail_with_token =
            reader.word("detail-with-token", Detail::WORDS, &mut self.problems).unwrap_or(detail);
        let standby = [("healthy", true), ("unhealthy", false)];
        let standby_is_healthy =
            reader.word("standby", &standby, &mut self.problems).unwrap_or(true);
        let listener = reader.text("listener", &mut self.problems);
        if let Some(text) = &listener {
            self.named_listeners.push((reader.what().to_owned(), text.clone()));
        }
        reader.finish(&[], &mut self.problems);
        Some(EndpointSpec {
            path: path?,
            format,
            pick: Pick { names, tags, exclude },
            codes,
            detail,
            detail_with_token,
            standby_is_healthy,
            listener: listener.map(|text| text.value),
            place,
        })
    }

    fn codes(&mut self, reader: &mut Reader) -> Codes {
        let mut codes = Codes::default();
        let what = reader.what().to_owned();
        let Some(table) = reader.table("codes", &mut self.problems) else { return codes };
        for (name, entry) in table.entries {
            let Some(status) = Status::ALL.into_iter().find(|status| status.as_str() == name)
            else {
                let words = Status::ALL.map(Status::as_str);
                let list = problem::known("states", &name, words);
                let shown = name.escape_debug();
                let message = format!("unknown state `{shown}` in `codes` of {what} {list}");
                self.problems.error(&entry.key, message);
                continue;
            };
            let code = match entry.node.value {
                Value::Integer(code) => u16::try_from(code).ok(),
                _ => None,
            };
            match code.filter(|code| (200..=599).contains(code)) {
                Some(code) => codes.set(status, code),
                None => self.problems.error(
                    &entry.node.place,
                    format!(
                        "the code for `{status}` in {what} is no HTTP status (expected 200 to 599)"
                    ),
                ),
            }
        }
        codes
    }

    pub(super) fn listener(&mut self, table: Table) -> Option<ListenSpec> {
        let place = table.place.clone();
        let mut reader = Reader::new("`[[listen]]`", table, &[keys::LISTEN]);
        for key in ["name", "address"] {
            if !reader.has(key) {
                reader.missing(key, &mut self.problems);
            }
        }
        let name = reader.parsed("name", &mut self.problems, |text| match text.value.as_str() {
            MAIN => Err(format!("`{MAIN}` is the listener of `[server]`")),
            name => match CheckName::new(name) {
                Ok(name) => Ok(name.as_str().to_owned()),
                Err(error) => Err(error.to_string()),
            },
        });
        let address = reader.parsed("address", &mut self.problems, super::sections::socket_address);
        let protocol =
            reader.word("protocol", Protocol::WORDS, &mut self.problems).unwrap_or_default();
        let routes_place = reader.place_of("routes");
        let routes = super::sections::routes(&mut reader, &mut self.problems);
        if protocol == Protocol::Grpc && routes.is_some() {
            self.problems.error(&routes_place, "a listener for gRPC has no `routes`");
        }
        reader.finish(&[], &mut self.problems);
        Some(ListenSpec { name: name?, address: address?, protocol, routes, place })
    }

    /// Listeners and endpoints that get into each other's way.
    pub(super) fn distinct_endpoints(
        &mut self,
        endpoints: &[EndpointSpec],
        listeners: &[ListenSpec],
    ) {
        let mut names: BTreeMap<&str, &Place> = BTreeMap::new();
        for listener in listeners {
            if let Some(first) = names.insert(&listener.name, &listener.place) {
                let name = &listener.name;
                let message = format!(
                    "a second `[[listen]]` is called `{name}` (the first stands at {first})"
                );
                self.problems.error(&listener.place, message);
            }
        }
        for (what, text) in std::mem::take(&mut self.named_listeners) {
            if text.value == MAIN {
                continue;
            }
            match listeners.iter().find(|listener| listener.name == text.value) {
                Some(listener) if listener.protocol == Protocol::Http => {}
                Some(_) => {
                    let message =
                        format!("`listener` of {what} is `{}`, which is for gRPC", text.shown());
                    self.problems.error(&text.place, message);
                }
                None => {
                    let known = listeners.iter().map(|listener| &*listener.name).chain([MAIN]);
                    let list = problem::known("listeners", text.shown(), known);
                    let shown = text.shown().escape_debug();
                    let message = format!("unknown listener `{shown}` in {what} {list}");
                    self.problems.error(&text.place, message);
                }
            }
        }
        let mut taken: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
        for endpoint in endpoints {
            let listener = endpoint.listener.as_deref();
            let clash = match listener {
                None => taken.iter().any(|(path, _)| *path == endpoint.path),
                Some(_) => [listener, None].iter().any(|l| taken.contains(&(&*endpoint.path, *l))),
            };
            if clash {
                let message = format!("a second endpoint has the path `{}`", endpoint.path);
                self.problems.error(&endpoint.place, message);
            }
            taken.insert((&endpoint.path, listener));
        }
    }
}

fn path(text: &str) -> Result<String, String> {
    let shown: String = text.chars().take(100).flat_map(char::escape_debug).collect();
    let fits = |b: u8| b.is_ascii_graphic() && !b"?#%\\\"<>{}|^`".contains(&b);
    if !text.starts_with('/') || text.len() > MAX_PATH || !text.bytes().all(fits) {
        return Err(format!(
            "`{shown}` is no path (expected `/` and at most {MAX_PATH} visible characters without `?`, `#`, `%` and brackets)"
        ));
    }
    if ["/api/", "/-/"].iter().any(|own| text.starts_with(own)) {
        return Err(format!(
            "`{shown}` belongs to wellcheck itself (expected another path than below `/api/` and `/-/`)"
        ));
    }
    Ok(text.to_owned())
}
