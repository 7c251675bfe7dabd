# Sourced by the parts that compile emitted models: with the same options, so that they share what is compiled (see cached.sh). Fewer
# optimizations than gdlc asks for by itself: most models run here for a shorter time than they are compiled.
EMITTED='-O1 -march=native -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror'
CACHED_CC="$PWD/tests/cached.sh ${CC:-cc}"
