//! Nothing: the guests are the examples of this package, one file each in `bin`.
