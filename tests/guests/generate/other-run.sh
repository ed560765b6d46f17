# Exports `checker` with the right `describe`, and a `run` that takes and returns something else
# than the contract says: a good host refuses the file and names the function.
. "${0%/*}/component"
component other-run '' | sed '
  s/(func (export "run") (param i32 i32 i32 i32) (result i32) i32.const 80)/(func (export "run") (param i32) (result i32) local.get 0)/
  s/(func $run (param "invocation".*/(func $run (param "level" u32) (result bool)/
  s/(canon lift (core func $guest "run").*/(canon lift (core func $guest "run")))/'
