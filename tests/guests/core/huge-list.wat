;; Answers with 900,000 observations, all of zeroes: 58 MB of its memory, several times that for a
;; host that copies them. A good host refuses to at its limit for one call.
(module
  (memory (export "memory") 900)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\09\00\00\00" "\89\00\00\00\05\00\00\00" "\8e\00\00\00\06\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\8e\00\00\00\06\00\00\00" "\00\00\01\00\a0\bb\0d\00")
  (data (i32.const 128) "huge-list" "1.0.0" "lists.")
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32)
    i32.const 80)
)
