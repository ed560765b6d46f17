;; Writes 32 MB of memory at once, again and again: a single instruction that takes its time, and
;; between two of which alone a host can step in. A good host ends the run at its CPU budget.
(module
  (memory (export "memory") 520)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\0b\00\00\00" "\8b\00\00\00\05\00\00\00" "\90\00\00\00\06\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\90\00\00\00\06\00\00\00")
  (data (i32.const 128) "fill-memory" "1.0.0" "fills.")
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32)
    (loop $again
      (memory.fill (i32.const 65536) (i32.const 1) (i32.const 33554432))
      (br $again))
    i32.const 80)
)
