;; Answers with a message that is not UTF-8. A good host makes a fault of it, and repairs no text.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\08\00\00\00" "\88\00\00\00\05\00\00\00" "\8d\00\00\00\08\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\95\00\00\00\04\00\00\00")
  (data (i32.const 128) "bad-utf8" "1.0.0" "mumbles." "ab\ff\fe")
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32) i32.const 80)
)
