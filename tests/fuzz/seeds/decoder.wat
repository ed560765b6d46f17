;; Answers with what its settings spell: two letters from `a` to `p` for each byte, put at 0.
(module
  (import "shared" "memory" (memory 4))
  (func $half (param i32) (result i32)
    (i32.and (i32.sub (i32.load8_u (local.get 0)) (i32.const 97)) (i32.const 15)))
  (func (export "run") (param i32 i32 i32 i32) (result i32) (local $from i32) (local $end i32) (local $to i32)
    (local.set $from (local.get 2))
    (local.set $end (i32.add (local.get 2) (i32.and (local.get 3) (i32.const -2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
        (i32.store8 (local.get $to)
          (i32.or (i32.shl (call $half (local.get $from)) (i32.const 4))
                  (call $half (i32.add (local.get $from) (i32.const 1)))))
        (local.set $from (i32.add (local.get $from) (i32.const 2)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (br $next)))
    (i32.const 0)))
