# Has a million functions, in 5 MB. A good host compiles where nothing else waits for it, under
# limits of CPU and memory, and refuses the file with the limit that it hit.
. "${0%/*}/module"
yes '(func)' | head -n 990000 | module
