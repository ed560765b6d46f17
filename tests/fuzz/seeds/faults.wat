;; The other side of the result.
(module
  (import "shared" "memory" (memory 4))
  (data $text "the settings name no host")
  (func (export "describe") (result i32) i32.const 256)
  (func (export "run") (param i32 i32 i32 i32) (result i32)
    (memory.init $text (i32.const 8192) (i32.const 0) (i32.const 25))
    (data.drop $text)
    (i32.store8 (i32.const 64) (i32.const 1))
    (i32.store (i32.const 68) (i32.const 1))
    (i32.store (i32.const 72) (i32.const 8192))
    (i32.store (i32.const 76) (i32.const 25))
    (i32.const 64)))
