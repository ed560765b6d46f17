# Has nine hundred core instances, of nothing: a good host has a limit for that too, and refuses
# the file.
. "${0%/*}/component"
component many-instances "(core module \$one) $(times 900 '(core instance (instantiate $one))')"
