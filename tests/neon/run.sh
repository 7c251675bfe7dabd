#!/bin/sh
# NEON under emulation: the fragments of C that emitted code is made of, and models without BLAS, compiled for 64-bit ARM and run by QEMU. Skips,
# with a message, where the cross compiler or QEMU is not installed (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user).
B=${B:-build}
arm=aarch64-linux-gnu-gcc emulator=qemu-aarch64
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0
for program in $arm $emulator; do
    command -v $program > "$folder/log" || { echo "skipped: there is no $program"; echo "0 passed, 0 failed"; exit 0; }
done

# check NAME ARGUMENT SOURCE OPTION...: compiles and runs it, and adds up its last line.
check() {
    name=$1 argument=$2
    shift 2
    $arm -std=c11 -O1 -static -Wall -Wno-unused-function -Werror -o "$folder/$name" "$@" -lm -lpthread > "$folder/log" 2>&1 &&
        $emulator "$folder/$name" $argument > "$folder/log" 2>&1
    result=$(tail -n 1 "$folder/log")
    case $result in
    *" passed, 0 failed") passed=$((passed + ${result%% passed*})) ;;
    *) failed=$((failed + 1)) && echo "FAILED $name:" && tail -n 20 "$folder/log" ;;
    esac
}

check product '' tests/support/programs/product.c -DEVERY=7
check conv 30 tests/support/programs/conv.c
check random 1 tests/support/programs/random.c
check functions '' tests/unit/test_support.c -Itests/neon -DSTRIDE=50021
for model in nans lengths; do
    "$B/gdlc" --standalone --blas=none "tests/emitted/$model.gdl" -o "$folder/$model.c" || failed=$((failed + 1))
    check $model '' "tests/emitted/programs/$model.c" "$folder/$model.c" -I"$folder" -DSTANDALONE -Wextra -Wpedantic -Wconversion -Wshadow
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
