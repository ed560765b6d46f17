;; Exports `checker` and imports no function at all: every run passes. A good host runs it.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  ;; A description: name, version, summary, then no schema, no wants, no details.
  (data (i32.const 16) "\80\00\00\00\07\00\00\00" "\87\00\00\00\05\00\00\00" "\8c\00\00\00\06\00\00\00")
  ;; A report: ok, pass, a message, then empty lists.
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\8c\00\00\00\06\00\00\00")
  (data (i32.const 128) "minimal" "1.0.0" "passes")
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32) i32.const 80)
)
