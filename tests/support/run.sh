#!/bin/sh
# The fragments of C that emitted code is made of, compiled for vectors of each width that this machine has: their programs in
# programs/ compare them with plain code, under sanitizers too.
#
#     tests/support/run.sh [CASES]         random cases of each program; 100 without a number
CC=${CC:-cc}
cases=${1:-100}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

# check PROGRAM FLAGS...
check() {
    program=$1
    shift
    $CC -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-unused-function -Werror "$@" -o "$folder/$program" "tests/support/programs/$program.c" -lm \
        > "$folder/log" 2>&1 && "$folder/$program" "$cases" > "$folder/log" 2>&1
    result=$(tail -n 1 "$folder/log")
    case $result in
    *" passed, 0 failed") passed=$((passed + ${result%% passed*})) ;;
    *) failed=$((failed + 1)) && echo "$program $*:" && tail -n 20 "$folder/log" ;;
    esac
}

# check_unit FLAGS...: the unit test of mathematical functions and random numbers, which is built for one width elsewhere.
check_unit() {
    $CC -std=c11 -O2 "$@" -o "$folder/unit" tests/unit/test_support.c $(pkg-config --cflags --libs criterion) -lm > "$folder/log" 2>&1
    result=$("$folder/unit" 2>&1 | tee -a "$folder/log" | grep 'Failing: 0 .*Crashing: 0')
    if [ -n "$result" ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "unit $*:" && tail -n 20 "$folder/log"; fi
}

widths="-DNARROW"
if $CC -march=native -dM -E - < /dev/null 2> /dev/null | grep -q __AVX2__; then widths="$widths -mavx2"; fi
if $CC -march=native -dM -E - < /dev/null > /dev/null 2>&1; then widths="$widths -march=native"; fi
for program in conv product random; do
    for width in $widths; do # not optimised: with sanitizers that takes the compiler long
        check $program -g -fsanitize=address,undefined -fno-sanitize-recover=undefined "$width"
    done
    check $program -O2 "$width"
done
check product -O2 -DNO_VECTORS # what a compiler without vectors makes of it
for flags in "-DNARROW" "-mavx2 -mfma" "-march=native -ffp-contract=off" "-DNO_VECTORS"; do
    case "$widths -mfma -ffp-contract=off -DNO_VECTORS" in *"${flags%% *}"*) check_unit $flags ;; esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
