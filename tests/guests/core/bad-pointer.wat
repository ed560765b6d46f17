;; Answers with a message that ends beyond its memory. A good host makes a fault of it.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\0b\00\00\00" "\8b\00\00\00\05\00\00\00" "\90\00\00\00\07\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\00\ff\00\00\00\02\00\00")
  (data (i32.const 128) "bad-pointer" "1.0.0" "strays.")
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32) i32.const 80)
)
