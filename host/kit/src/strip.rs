//! Takes out of a component what is there for people who debug it: names of functions, debugging
//! information, what linkers and compilers left for each other.
//!
//! What it is made of (`producers`) and what its author says of it stay.

use wasm_encoder::{ComponentSectionId, Encode as _, RawSection, Section as _};
use wasmparser::{Encoding, Parser, Payload};

/// Whether a custom section has nothing to say to who runs or shares a plugin.
fn is_for_debugging(name: &str) -> bool {
    let is_named = matches!(
        name,
        "name"
            | "linking"
            | "target_features"
            | "sourceMappingURL"
            | "external_debug_info"
            | "go:buildid"
            | "go.buildid"
    );
    is_named || name.starts_with(".debug") || name.starts_with("reloc.")
}

/// The same component or module, and all that is in it, without these sections.
///
/// # Errors
/// When the bytes are not WebAssembly.
pub fn strip(bytes: &[u8]) -> wasmparser::Result<Vec<u8>> {
    let mut outer: Vec<Vec<u8>> = Vec::new();
    let mut output = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match &payload {
            Payload::Version { encoding, .. } => output.extend_from_slice(match encoding {
                Encoding::Component => &wasm_encoder::Component::HEADER,
                Encoding::Module => &wasm_encoder::Module::HEADER,
            }),
            // What is inside of it follows, and its end.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                outer.push(std::mem::take(&mut output));
                continue;
            }
            Payload::End(_) => {
                let Some(mut parent) = outer.pop() else { break };
                let is_component = Parser::is_component(&output);
                let id = match is_component {
                    true => ComponentSectionId::Component,
                    false => ComponentSectionId::CoreModule,
                };
                parent.push(id as u8);
                output.as_slice().encode(&mut parent);
                output = parent;
                continue;
            }
            Payload::CustomSection(section) if is_for_debugging(section.name()) => continue,
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            let section = RawSection { id, data: &bytes[range] };
            section.append_to(&mut output);
        }
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &str = r#"(component $named
        (core module $inner
            (func $secret-name (export "run"))
            (@custom ".debug_info" "long")
            (@producers (language "C" "17")))
        (core instance $i (instantiate $inner))
        (component $nested (core module $m (func $other-name)))
        (@custom "kept" "words"))"#;

    #[test]
    fn names_and_debugging_information_go_at_every_depth_and_the_rest_stays() {
        let before = wat::parse_str(COMPONENT).unwrap();
        let after = strip(&before).unwrap();
        let text = String::from_utf8_lossy(&after);
        for gone in ["secret-name", ".debug_info", "other-name"] {
            assert!(String::from_utf8_lossy(&before).contains(gone), "{gone}");
            assert!(!text.contains(gone), "{gone}");
        }
        for kept in ["producers", "words", "run"] {
            assert!(text.contains(kept), "{kept}");
        }
        wasmparser::validate(&after).unwrap();
        assert_eq!(strip(&after).unwrap(), after);
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        let whole = wat::parse_str(COMPONENT).unwrap();
        assert!(strip(&whole[..whole.len() - 3]).is_err());
        assert!(strip(b"text").is_err());
    }
}
