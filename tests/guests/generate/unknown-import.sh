# Imports an interface that no contract has, and one of WASI that the host does not offer: a good
# host refuses the file and names what it does not offer.
. "${0%/*}/component"
component unknown-import '
  (import "wellcheck:check/wishes@0.1.1" (instance (export "grant" (func (param "name" string)))))
  (import "wasi:nn/graph@0.2.0-rc-2024-10-28" (instance))'
