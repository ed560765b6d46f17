//! From bytes to a plugin: what is refused, at which step, and in which words.

use serde_json::json;

use crate::guest::{component, guest};
use crate::support::{invocation, load, load_problem, report, sandbox};

#[track_caller]
fn assert_starts(text: &str, start: &str) {
    assert!(text.starts_with(start), "{text}");
}

#[tokio::test]
async fn a_plugin_says_what_it_is() {
    let sandbox = sandbox();
    let guest = guest().schema(r#"{"type":"object","required":["url"]}"#);
    let plugin = load(&sandbox, &guest).await;
    let description = plugin.description();
    assert_eq!(description.name, "test");
    assert_eq!(description.version, "1.2.3");
    assert_eq!(description.summary, "A guest of the tests.");
    assert_eq!(plugin.line(), "0.1");
    assert_eq!(plugin.digest(), blake3::hash(&guest.build()).to_hex().as_str());
    assert_eq!(plugin.size(), guest.build().len());
    assert_eq!(plugin.check_settings(&json!({})), Err(vec!["/: `url` is missing".to_owned()]));
    assert_eq!(plugin.check_settings(&json!({"url": 5})), Ok(()));
    assert!(!plugin.timings().from_cache);
}

#[tokio::test]
async fn without_a_schema_any_object_will_do() {
    let plugin = load(&sandbox(), &guest()).await;
    assert_eq!(plugin.check_settings(&json!({"a": 1})), Ok(()));
    assert_eq!(plugin.check_settings(&json!(1)), Err(vec!["/: expected an object".to_owned()]));
}

#[tokio::test]
async fn a_bad_schema_is_a_load_problem() {
    for (schema, why) in [
        ("{", "it is not JSON"),
        (r#"{"$ref":"https://example.com/"}"#, "`https://example.com/` leads out of the schema"),
        (r#"{"type":"text"}"#, "at `/type`"),
    ] {
        let problem = load_problem(&sandbox(), guest().schema(schema).build()).await;
        assert_starts(&problem, &format!("schema: the settings schema is not usable: {why}"));
    }
}

#[tokio::test]
async fn what_is_no_component_is_refused_before_it_is_compiled() {
    let sandbox = sandbox();
    let cases: [(&[u8], &str); 5] = [
        (b"", "validate: the file is empty"),
        (b"\0as", "validate: the file is incomplete: it ends after 3 bytes"),
        (
            b"\x7fELF\x02\x01\x01\0\0",
            "validate: the file is not WebAssembly (it begins with `\\x7fELF",
        ),
        (b"\0asm\x01\0\0\0", "validate: the file is a core module, not a component"),
        (b"\0asm\x0d\0\x01\0\xff\xff\xff", "validate: the file is "),
    ];
    for (bytes, problem) in cases {
        assert_starts(&load_problem(&sandbox, bytes.to_vec()).await, problem);
    }
}

#[tokio::test]
async fn a_file_that_is_cut_anywhere_is_refused() {
    let sandbox = sandbox();
    let whole = guest().build();
    for cut in 0..whole.len() {
        match crate::support::try_load(&sandbox, whole[..cut].to_vec()).await {
            Err(error) => assert_starts(&error.message(), "validate: "),
            // What is missing is the section with the names of things, which is for people.
            Ok(_) => assert_eq!(whole[cut], 0),
        }
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused() {
    let mut options = crate::support::options();
    options.load.file_bytes = 1000;
    let sandbox = wellcheck_wasm::Sandbox::new(options).expect("a sandbox");
    let problem = load_problem(&sandbox, vec![0; 1001]).await;
    assert_eq!(problem, "read: the file has 1001 bytes (at most 1000 bytes)");
}

#[tokio::test]
async fn another_world_is_refused_and_what_it_is_is_said() {
    let sandbox = sandbox();
    let problem = load_problem(&sandbox, component("(component)")).await;
    assert_eq!(
        problem,
        "validate: it exports no `wellcheck:check/checker` of a line that this host speaks (0.1); found no export at all"
    );
    let command = r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#;
    let problem = load_problem(&sandbox, component(command)).await;
    assert!(problem.ends_with("found `wasi:cli/run@0.2.0`"), "{problem}");
}

#[tokio::test]
async fn another_line_is_refused_by_its_version() {
    let problem = load_problem(&sandbox(), guest().version("0.2.0").build()).await;
    assert_eq!(
        problem,
        "validate: it exports no `wellcheck:check/checker` of a line that this host speaks (0.1); found `wellcheck:check/checker@0.2.0`"
    );
}

#[tokio::test]
async fn a_later_version_of_the_line_that_uses_nothing_newer_runs() {
    let sandbox = sandbox();
    let guest = guest().version("0.1.7").import(
        r#"(import "wellcheck:check/context@0.1.7" (instance $context
            (export "remaining-ms" (func (result u64)))))"#,
    );
    let guest = guest.lower("remaining", "$context \"remaining-ms\"", "(result i64)");
    let plugin = load(&sandbox, &guest.before("(drop (call $remaining))")).await;
    assert_eq!(report(&plugin.run(invocation()).await).message, "fine");
}

#[tokio::test]
async fn a_later_version_that_uses_something_newer_is_refused_by_name() {
    let guest = guest().version("0.1.7").import(
        r#"(import "wellcheck:check/context@0.1.7" (instance $context
            (export "phase-of-the-moon" (func (result u64)))))"#,
    );
    let problem = load_problem(&sandbox(), guest.build()).await;
    assert_starts(&problem, "bind: ");
    assert!(problem.contains("phase-of-the-moon"), "{problem}");
}

#[tokio::test]
async fn an_import_that_is_not_offered_is_named() {
    for import in ["acme:queue/client@1.0.0", "wasi:cli/run@0.2.0", "wasi:http/types@0.3.0"] {
        let guest = guest().import(&format!(r#"(import "{import}" (instance))"#));
        let problem = load_problem(&sandbox(), guest.build()).await;
        let expected = format!("validate: it imports `{import}`, which this host does not offer");
        assert_eq!(problem, expected);
    }
}

#[tokio::test]
async fn everything_that_is_said_to_be_offered_is_linked() {
    let sandbox = sandbox();
    for interface in wellcheck_wasm::offered() {
        let version = if interface.starts_with("wasi:") { "0.2.99" } else { "0.1.0" };
        let import = format!(r#"(import "{interface}@{version}" (instance))"#);
        let plugin = load(&sandbox, &guest().import(&import)).await;
        assert_eq!(plugin.imports().len(), 1);
        assert_eq!(plugin.imports()[0].to_string(), format!("{interface}@{version}"));
    }
}

#[tokio::test]
async fn an_export_of_another_type_is_refused() {
    let text = r#"(component
        (core module $m (func (export "describe")))
        (core instance $i (instantiate $m))
        (func $describe (canon lift (core func $i "describe")))
        (instance $c (export "describe" (func $describe)))
        (export "wellcheck:check/checker@0.1.0" (instance $c)))"#;
    let problem = load_problem(&sandbox(), component(text)).await;
    assert_starts(&problem, "bind: ");
    assert!(problem.contains("describe") || problem.contains("run"), "{problem}");
}

#[tokio::test]
async fn declared_memories_and_tables_are_looked_at_before_compiling() {
    let sandbox = sandbox();
    let problem = load_problem(&sandbox, guest().memory("32768").build()).await;
    assert_eq!(
        problem,
        "validate: it declares a memory of 2048 MiB (at most 256 MiB: limit `max-memory`)"
    );
    let guest = guest().fields("(table 100000 funcref)");
    let problem = load_problem(&sandbox, guest.build()).await;
    assert_eq!(
        problem,
        "validate: it declares a table of 100000 elements (at most 20000: limit `max-table-elements`)"
    );
}

#[tokio::test]
async fn what_is_switched_off_does_not_compile() {
    let sandbox = sandbox();
    for fields in [
        "(memory i64 1)",
        "(func (return_call 0))",
        "(tag)",
        "(type (struct))",
        "(func (param i32) (result i32) (i32.atomic.load (local.get 0)))",
        "(func (result v128) (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))",
        "(func (result i64 i64) (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)))",
    ] {
        match crate::support::try_load(&sandbox, guest().fields(fields).build()).await {
            Ok(_) => panic!("{fields} was compiled"),
            Err(error) => assert_starts(&error.message(), "compile: "),
        }
    }
}

#[tokio::test]
async fn code_that_is_not_valid_does_not_compile() {
    let problem = load_problem(&sandbox(), guest().run("i64.const 1").build()).await;
    assert_starts(&problem, "compile: ");
    assert!(problem.contains("type mismatch"), "{problem}");
}

#[tokio::test]
async fn without_address_space_for_a_pool_it_runs_all_the_same() {
    let options = wellcheck_wasm::SandboxOptions {
        allocator: wellcheck_wasm::Allocator::OnDemand,
        ..crate::support::options()
    };
    let sandbox = wellcheck_wasm::Sandbox::new(options).expect("a sandbox");
    let plugin = load(&sandbox, &guest()).await;
    assert_eq!(report(&plugin.run(invocation()).await).message, "fine");
    assert_eq!(sandbox.slots().pooled, None);
}

#[tokio::test]
async fn the_last_handle_may_be_dropped_anywhere() {
    let sandbox = sandbox();
    let plugin = load(&sandbox, &guest()).await;
    drop(sandbox);
    assert_eq!(report(&plugin.run(invocation()).await).message, "fine");
    drop(plugin);
}
