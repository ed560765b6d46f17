;; Asks for elements of a table, a thousand at a time, until there are none; then it passes.
;; A good host says no at its limit.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\0a\00\00\00" "\8a\00\00\00\05\00\00\00" "\8f\00\00\00\06\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\8f\00\00\00\06\00\00\00")
  (data (i32.const 128) "grow-table" "1.0.0" "grows.")
  (table $table 1 funcref)
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32)
    (loop $more
      (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
    i32.const 80)
)
