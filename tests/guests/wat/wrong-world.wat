;; A component that has nothing to do with health checks. A good host refuses the file and says what
;; is missing.
(component
  (instance $greeter)
  (export "other:thing/greeter@1.0.0" (instance $greeter))
)
