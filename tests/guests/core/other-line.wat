;; A well-behaved plugin of a line that this host does not speak. A good host refuses the file, with
;; both versions.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  ;; A description: name, version, summary, then no schema, no wants, no details.
  (data (i32.const 16) "\80\00\00\00\07\00\00\00" "\87\00\00\00\05\00\00\00" "\8c\00\00\00\06\00\00\00")
  ;; A report: ok, pass, a message, then empty lists.
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\8c\00\00\00\06\00\00\00")
  (data (i32.const 128) "newline" "1.0.0" "passes")
  (func (export "wellcheck:check/checker@0.2.0#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.2.0#run") (param i32 i32 i32 i32) (result i32) i32.const 80)
)
