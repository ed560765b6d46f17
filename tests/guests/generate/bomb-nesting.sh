# Has a function of 500,000 loops, each inside the one before, which every loop of them can leave
# or begin again. A good host compiles where nothing else waits for it, under limits of CPU, memory
# and stack, and refuses the file with the limit that it hit.
. "${0%/*}/module"
awk 'BEGIN {
  print "(func (param i32)"
  for (n = 0; n < 500000; n++) print "loop local.get 0 br_if", int(n / 2)
  for (n = 0; n < 500000; n++) print "end"
  print ")"
}' | module
