;; The plugin `{{name}}`: the smallest that answers, to see what a plugin is made of.
;;
;; It is a core module whose exports have the names of the contract (see wit/check.wit); `wellcheck
;; plugin build` makes a component of it. Texts and lists are pairs of an address and a length; a
;; result is the address of where it lies in memory, laid out field by field.
(module
  ;; How much time is left of the run, in milliseconds: a fact that the host gives.
  (import "wellcheck:check/context@0.1.2" "remaining-ms" (func $remaining-ms (result i64)))

  (memory (export "memory") 1)

  ;; The host asks for memory before it hands over texts. One page is enough for a run: the next free
  ;; address, rounded up to eight.
  (global $free (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32)
    (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    ;; What does not fit ends the run.
    (if (i32.gt_u (global.get $free) (i32.const 65536)) (then unreachable))
    (local.get $at))

  ;; Texts.
  (data (i32.const 1024) "{{name}}")
  (data (i32.const 1152) "0.1.0")
  (data (i32.const 1168) "holds the time that a run is given against a second")
  (data (i32.const 1232) "there is more than a second")
  (data (i32.const 1264) "there is less than a second")

  ;; A description, 52 bytes: name, version, summary, no schema, no wants, no details.
  (func (export "wellcheck:check/checker@0.1.2#describe") (result i32)
    (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const {{name-length}}))
    (i32.store (i32.const 8) (i32.const 1152)) (i32.store (i32.const 12) (i32.const 5))
    (i32.store (i32.const 16) (i32.const 1168)) (i32.store (i32.const 20) (i32.const 51))
    (i32.const 0))

  ;; A run: the check's name and its settings come in, a report or a fault goes out. Its 40 bytes at 64:
  ;;   +0 which of the two (0: a report), +4 status (0 pass, 1 warn, 2 fail), +8 message,
  ;;   +16 observations, +24 parts, +32 details: all empty.
  (func (export "wellcheck:check/checker@0.1.2#run") (param i32 i32 i32 i32) (result i32)
    (if (i64.gt_u (call $remaining-ms) (i64.const 1000))
      (then
        (i32.store8 (i32.const 68) (i32.const 0))
        (i32.store (i32.const 72) (i32.const 1232)))
      (else
        (i32.store8 (i32.const 68) (i32.const 2))
        (i32.store (i32.const 72) (i32.const 1264))))
    (i32.store (i32.const 76) (i32.const 27))
    (i32.const 64))
)
