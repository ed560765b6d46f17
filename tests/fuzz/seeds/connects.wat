;; Looks a name up, and wants to connect to an address.
(module
  (import "shared" "memory" (memory 4))
  (import "host" "network" (func $network (result i32)))
  (import "host" "resolve" (func $resolve (param i32 i32 i32 i32)))
  (import "host" "next-address" (func $next (param i32 i32)))
  (import "host" "create-tcp" (func $create (param i32 i32)))
  (import "host" "connect" (func $connect
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (data (i32.const 8192) "db.internal")
  (func (export "describe") (result i32) i32.const 256)
  (func (export "run") (param i32 i32 i32 i32) (result i32) (local $network i32)
    (local.set $network (call $network))
    (call $resolve (local.get $network) (i32.const 8192) (i32.const 11) (i32.const 512))
    (if (i32.eqz (i32.load8_u (i32.const 512)))
      (then (call $next (i32.load (i32.const 516)) (i32.const 528))))
    (call $create (i32.const 0) (i32.const 560))
    (if (i32.eqz (i32.load8_u (i32.const 560)))
      (then
        (call $connect (i32.load (i32.const 564)) (local.get $network) (i32.const 0) (i32.const 5432)
          (i32.const 10) (i32.const 0) (i32.const 0) (i32.const 7)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 576))))
    (i32.const 64)))
