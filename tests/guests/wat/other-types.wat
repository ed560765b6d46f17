;; Exports `checker` with both functions, which take and return something else than the contract
;; says: a good host refuses the file and names the function.
(component
  (core module $code
    (memory (export "memory") 1)
    (func (export "describe") (result i32) i32.const 16)
    (func (export "run") (param i32) (result i32) local.get 0))
  (core instance $guest (instantiate $code))
  (func $describe (result string)
    (canon lift (core func $guest "describe") (memory $guest "memory")))
  (func $run (param "level" u32) (result bool) (canon lift (core func $guest "run")))
  (instance $checker
    (export "describe" (func $describe))
    (export "run" (func $run)))
  (export "wellcheck:check/checker@0.1.1" (instance $checker))
)
