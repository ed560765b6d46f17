;; Calls a function of its table by another type than it has, which is a trap. A good host makes a
;; fault of it.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\08\00\00\00" "\88\00\00\00\05\00\00\00" "\8d\00\00\00\09\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\8d\00\00\00\09\00\00\00")
  (data (i32.const 128) "bad-call" "1.0.0" "misdials.")
  (table funcref (elem $other))
  (func $other (param i64))
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32)
    (drop (call_indirect (result i32) (i32.const 0)))
    i32.const 80)
)
