module {{name}}

go 1.24

require wellcheck v0.1.2

require go.bytecodealliance.org/pkg v0.4.0 // indirect

replace wellcheck => ./wellcheck
