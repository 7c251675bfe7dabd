#!/bin/sh
# Emitted code of random modules, of ten graphs each, beside the reference interpreter. `make random` runs it.
#
#     tests/reference/random.sh [MODULES [FIRST]]     so many (10), from this seed (1)
#
# CFLAGS_EMITTED is added to the options that emitted code is compiled with. A failure names the seed: random.sh 1 SEED repeats it.
B=${B:-build}
CC=${CC:-cc}
program=$B/tests/reference/test_random
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0 left=${1:-10} first=${2:-1}

# some FIRST COUNT: in one shared object. Leaves the result in $folder/log.
some() {
    "$program" emit "$folder" "$1" "$2" && $CC -std=c11 -O1 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror $CFLAGS_EMITTED -shared \
        -fPIC -I"$B/include" $(pkg-config --cflags openblas) -o "$folder/m.so" "$folder"/m*.c $(pkg-config --libs openblas) -lm &&
        "$program" check "$folder/m.so" "$1" "$2"
}

while [ "$left" -gt 0 ]; do
    modules=$((left < 10 ? left : 10))
    some "$first" "$modules" > "$folder/log" 2>&1
    result=$(tail -n 1 "$folder/log")
    case $result in
    *" passed, 0 failed") ;;
    *) echo "modules $first to $((first + modules - 1)):" && head -n 40 "$folder/log" ;;
    esac
    case $result in
    *" passed, "*" failed") passed=$((passed + ${result%% passed*})) rest=${result#*, } failed=$((failed + ${rest%% failed})) ;;
    *) failed=$((failed + 1)) ;;
    esac
    rm -f "$folder"/m*
    left=$((left - modules)) first=$((first + modules))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
