# Has one function of 600,000 additions to 1,000 variables, all of them alive to its end, between
# 100,000 jumps. A good host compiles where nothing else waits for it, under limits of CPU and
# memory, and refuses the file with the limit that it hit.
. "${0%/*}/module"
awk 'BEGIN {
  printf "(func (param i32) (result i32) (local"
  for (n = 0; n < 1000; n++) printf " i32"
  print ")"
  for (n = 0; n < 100000; n++) {
    print "block local.get", n % 997, "br_if 0"
    for (k = 0; k < 6; k++) print "local.get", (n * 7 + k * 13) % 1001, "local.get", (n * 11 + k) % 991, "i32.add local.set", (n * 5 + k) % 1001
    print "end"
  }
  for (n = 0; n < 1000; n++) print "local.get", n
  for (n = 0; n < 999; n++) print "i32.add"
  print ")"
}' | module
