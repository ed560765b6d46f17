;; Calls the host while the host is handing it the arguments of a run, which the component model
;; forbids: a trap. There is nothing that the host calls back, so no other way in. A good host makes
;; a fault of it.
(module
  (import "wellcheck:check/context@0.1.1" "remaining-ms" (func $remaining-ms (result i64)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (drop (call $remaining-ms))
    i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\07\00\00\00" "\87\00\00\00\05\00\00\00" "\8c\00\00\00\08\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\8c\00\00\00\08\00\00\00")
  (data (i32.const 128) "reenter" "1.0.0" "reenters")
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32) i32.const 80)
)
