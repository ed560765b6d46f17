;; Divides by zero, which is a trap. A good host makes a fault of it.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\0e\00\00\00" "\8e\00\00\00\05\00\00\00" "\93\00\00\00\08\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\93\00\00\00\08\00\00\00")
  (data (i32.const 128) "divide-by-zero" "1.0.0" "divides.")
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32)
    (drop (i32.div_u (i32.const 1) (i32.load (i32.const 4096))))
    i32.const 80)
)
