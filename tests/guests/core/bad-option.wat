;; Answers with an observation whose unit is neither there nor not there. A good host makes a fault
;; of it.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\0a\00\00\00" "\8a\00\00\00\05\00\00\00" "\8f\00\00\00\08\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\8f\00\00\00\08\00\00\00" "\00\01\00\00\01\00\00\00")
  (data (i32.const 128) "bad-option" "1.0.0" "options.")
  (data (i32.const 256) "\8f\00\00\00\08\00\00\00" "\00\00\00\00\00\00\00\00" "\07\00\00\00\00\00\00\00\00\00\00\00")
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32)
    i32.const 80)
)
