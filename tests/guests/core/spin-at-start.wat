;; Never gets past its start function, so that not even an instance comes to be. A good host counts
;; that as well, and refuses the file.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (func $spin (loop $again br $again))
  (start $spin)
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) unreachable)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32) unreachable)
)
