#!/bin/sh
# Emitted code beside the reference interpreter: random graphs, and every model of models/.
#
#     tests/reference/run.sh [MODULES]     random modules, of ten graphs each; 6 without a number
B=${B:-build}
CC=${CC:-cc}
. tests/options.sh
modules=${1:-6}
programs=$B/tests/reference
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

# Adds up the last line of a program's output, and shows the lines before it.
count() {
    sed '$d' "$1" | head -n 40
    result=$(tail -n 1 "$1")
    case $result in
    *" passed, "*" failed") passed=$((passed + ${result%% passed*})) rest=${result#*, } failed=$((failed + ${rest%% failed})) ;;
    *) echo "$result" && failed=$((failed + 1)) ;;
    esac
}

# library NAME: makes NAME.so of all NAME*.c in the folder.
library() {
    $CACHED_CC -std=c11 $EMITTED $CFLAGS_EMITTED -shared -I"$B/include" \
        $(pkg-config --cflags openblas) -o "$folder/$1.so" "$folder/$1"*.c $(pkg-config --libs openblas) -lm
}

"$programs/test_simplify" > "$folder/log" 2>&1
count "$folder/log"
"$programs/test_derivatives" > "$folder/log" 2>&1
count "$folder/log"

tests/reference/random.sh "$modules" > "$folder/log" 2>&1
count "$folder/log"

# compare MODEL OPTIONS...
compare() {
    model=$1 name=$(basename "$1" .gdl)
    shift
    "$B/gdlc" "$model" "$@" -o "$folder/$name.c" > "$folder/log" 2>&1 && library "$name" >> "$folder/log" 2>&1 &&
        "$programs/test_models" "$model" "$folder/$name.so" "$name" $batch > "$folder/log" 2>&1
    count "$folder/log"
    rm -f "$folder/$name".*
}

batch=
for model in models/*.gdl tests/reference/*.gdl; do compare "$model"; done
for name in stacked vae conv gan_replay averaged wgan_gp; do
    [ -e models/$name.gdl ] && compare models/$name.gdl --parts
done
batch=300 # so many that rows come in several blocks
for option in --threads=posix --threads=none --blas=none; do compare tests/reference/blocks.gdl $option; done
compare tests/reference/shares.gdl --threads=posix

# Vectors of each width that this machine has; without a flag they are as narrow as any machine's.
batch=
for width in -mavx2 "-march=native -O3"; do
    if $CC -march=native -dM -E - < /dev/null 2> /dev/null | grep -q __AVX2__; then
        CFLAGS_EMITTED="$CFLAGS_EMITTED $width" compare tests/reference/vectors.gdl
    fi
done

# The same results where loops over time compute again what they do not keep, in less memory.
"$B/gdlc" --recompute tests/reference/loops.gdl -o "$folder/loops.c" > "$folder/log" 2>&1 && library loops >> "$folder/log" 2>&1 &&
    "$programs/test_models" tests/reference/loops.gdl "$folder/loops.so" loops > "$folder/log" 2>&1
count "$folder/log"
for option in "" --recompute; do
    "$B/gdlc" $option tests/reference/long_sequence.gdl --memory | awk '/^all/ { print $(NF - 1) }'
done > "$folder/log"
if awk 'NR == 1 { all = $1 } NR == 2 { less = $1 } END { exit !(less > 0 && 2 * less < all) }' "$folder/log"; then
    passed=$((passed + 1))
else
    echo "--recompute does not halve the memory of tests/reference/long_sequence.gdl" && cat "$folder/log" && failed=$((failed + 1))
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
