;; Exports `checker` with `describe` alone: a good host refuses the file and names what is missing.
(component
  (core module $code
    (memory (export "memory") 1)
    (func (export "describe") (result i32) i32.const 16))
  (core instance $guest (instantiate $code))
  (func $describe (result u32) (canon lift (core func $guest "describe")))
  (instance $checker (export "describe" (func $describe)))
  (export "wellcheck:check/checker@0.1.1" (instance $checker))
)
