;; A component that has nothing to do with health checks.
(component
  (instance $greeter)
  (export "other:thing/greeter@1.0.0" (instance $greeter))
)
