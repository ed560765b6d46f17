# Has twenty tables of nine thousand elements, each small enough by itself: a good host sums them
# up, and refuses the file or ends it at its limit.
. "${0%/*}/component"
component many-tables "(core module \$one (table 9000 funcref)) $(times 20 '(core instance (instantiate $one))')"
