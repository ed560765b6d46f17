;; Built against a later 0.1 that has more functions, of which it uses none: it loads here all the
;; same. What it calls it asks for under the later name. It fails a run that has no time left.
(module
  (import "wellcheck:check/context@0.1.7" "remaining-ms" (func $remaining-ms (result i64)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\0b\00\00\00" "\8b\00\00\00\05\00\00\00" "\90\00\00\00\0a\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\90\00\00\00\0a\00\00\00")
  (data (i32.const 128) "later-minor" "1.0.0" "from later")
  (func (export "wellcheck:check/checker@0.1.7#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.7#run") (param i32 i32 i32 i32) (result i32)
    (if (i64.eqz (call $remaining-ms)) (then (i32.store8 (i32.const 84) (i32.const 2))))
    i32.const 80)
)
