;; Built against the contract as 0.1.0 had it (../contract/0.1.0.wit): it runs here all the same.
;; It fails a run that has no time left.
(module
  (import "wellcheck:check/context@0.1.0" "remaining-ms" (func $remaining-ms (result i64)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\0b\00\00\00" "\8b\00\00\00\05\00\00\00" "\90\00\00\00\0b\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\90\00\00\00\0b\00\00\00")
  (data (i32.const 128) "older-minor" "1.0.0" "from before")
  (func (export "wellcheck:check/checker@0.1.0#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.0#run") (param i32 i32 i32 i32) (result i32)
    (if (i64.eqz (call $remaining-ms)) (then (i32.store8 (i32.const 84) (i32.const 2))))
    i32.const 80)
)
