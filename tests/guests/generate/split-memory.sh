# Has six memories of 12 MiB, few and small enough by themselves, 72 MiB in all: a good host sums
# them up, and ends it at its limit before anything has run.
. "${0%/*}/component"
component split-memory "(core module \$one (memory 192)) $(times 6 '(core instance (instantiate $one))')"
