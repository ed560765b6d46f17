;; Answers with ten thousand details that are all the same 60,000 bytes of its memory: small here,
;; 1.2 GB for a host that copies each. A good host counts each, and refuses to at its limit for one
;; call.
(module
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (data (i32.const 16) "\80\00\00\00\0f\00\00\00" "\8f\00\00\00\05\00\00\00" "\94\00\00\00\08\00\00\00")
  (data (i32.const 80) "\00\00\00\00" "\00\00\00\00" "\94\00\00\00\08\00\00\00"
    "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\01\00\10\27\00\00")
  (data (i32.const 128) "same-text-again" "1.0.0" "repeats.")
  (func (export "wellcheck:check/checker@0.1.1#describe") (result i32) i32.const 16)
  (func (export "wellcheck:check/checker@0.1.1#run") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (memory.fill (i32.const 1024) (i32.const 120) (i32.const 60000))
    (local.set $at (i32.const 65536))
    (loop $next
      (i32.store (local.get $at) (i32.const 1024))
      (i32.store offset=4 (local.get $at) (i32.const 60000))
      (i32.store offset=8 (local.get $at) (i32.const 1024))
      (i32.store offset=12 (local.get $at) (i32.const 60000))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 225536))))
    i32.const 80)
)
