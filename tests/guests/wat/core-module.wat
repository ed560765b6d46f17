;; WebAssembly, but a core module and no component. A good host refuses the file.
(module
  (func (export "run"))
)
