;; Asks for memory page by page until there is none, and touches all of what it got; then it passes.
;; A good host says no at its limit, and has the memory back after the run.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\0b\00\00\00" "\8b\00\00\00\05\00\00\00" "\90\00\00\00\06\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\90\00\00\00\06\00\00\00")
  (data (i32.const 128) "grow-memory" "1.0.0" "grows.")
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32)
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (memory.fill (i32.const 65536) (i32.const 1)
      (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)))
    i32.const 80)
)
