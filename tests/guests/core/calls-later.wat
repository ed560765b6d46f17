;; Built against a later 0.1 that has more functions, of which it uses one: a good host refuses the
;; file and names the function that it does not offer.
(module
  (import "wellcheck:check/context@0.1.7" "of-later" (func $of-later (result i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\0b\00\00\00" "\8b\00\00\00\05\00\00\00" "\90\00\00\00\0a\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\90\00\00\00\0a\00\00\00")
  (data (i32.const 128) "calls-later" "1.0.0" "from later")
  (func (export "wellcheck:check/checker@0.1.7#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.7#run") (param i32 i32 i32 i32) (result i32)
    (drop (call $of-later))
    i32.const 80)
)
