;; Declares 2 GiB of memory before it has done anything. A good host refuses the file.
(module
  (memory (export "memory") 32768)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) unreachable)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32) unreachable)
)
