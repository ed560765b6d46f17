# Has a hundred memories of a megabyte, each small enough by itself: a good host sums them up, and
# refuses the file or ends it at its limit.
. "${0%/*}/component"
component many-memories "(core module \$one (memory 16)) $(times 100 '(core instance (instantiate $one))')"
