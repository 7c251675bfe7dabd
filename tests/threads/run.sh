#!/bin/sh
# Threads of emitted models: a model computes the same bits with any number of them, by BLAS and without; and none of them
# touches what another one is at work on (ThreadSanitizer), nor leaves memory behind (valgrind).
#
#     tests/threads/run.sh [MODEL...]     by names; one of each kind without
[ $# -gt 0 ] || set -- pca tied vae gan_batchnorm gan_replay conv vqvae wgan_gp recurrent
B=${B:-build}
CC=${CC:-cc}
. tests/options.sh
program=$B/tests/threads/test_threads
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0
export OPENBLAS_NUM_THREADS=1

# count WHAT: adds up the last line of the log, and shows the lines before it.
count() {
    result=$(tail -n 1 "$folder/log")
    case $result in
    *" passed, "*" failed")
        sed '$d' "$folder/log" | head -n 20
        passed=$((passed + ${result%% passed*})) rest=${result#*, } failed=$((failed + ${rest%% failed})) ;;
    *) failed=$((failed + 1)) && echo "FAILED $1" && head -n 40 "$folder/log" ;;
    esac
}

# library MODEL NAME FLAGS OPTIONS...: makes NAME.so.
library() {
    model=$1 name=$2 flags=$3
    shift 3
    "$B/gdlc" "$model" "$@" -o "$folder/$name.c" &&
        $CACHED_CC -std=c11 $flags -pthread -shared -I"$B/include" $(pkg-config --cflags openblas) -o "$folder/$name.so" "$folder/$name.c" \
            $(pkg-config --libs openblas) -lm
}

# More than one where it takes little time.
steps() { case $1 in stacked | tied | vae | gan) echo 3 ;; *) echo 1 ;; esac; }

for name; do
    library "models/$name.gdl" "$name" "$EMITTED" > "$folder/log" 2>&1 && "$program" "$folder/$name.so" "$name" "$(steps "$name")" > "$folder/log" 2>&1
    count "$name"
done
for name in stacked vae; do
    library models/$name.gdl $name "-O3 -march=native -ffp-contract=fast" --blas=none --threads=posix > "$folder/log" 2>&1 &&
        "$program" "$folder/$name.so" $name > "$folder/log" 2>&1
    count "$name without BLAS"
done

# A sanitizer's library must be there from the start: a program of its own. Two do not go together, nor with valgrind.
case "$CFLAGS" in
*-fsanitize=*)
    echo "note: another sanitizer is at work; races and leaks are not looked for"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
    ;;
esac

if echo 'int main(void) { return 0; }' | $CC -xc -fsanitize=thread -o "$folder/tsan" - 2> "$folder/log" && "$folder/tsan"; then
    $CC -std=c11 -D_POSIX_C_SOURCE=200809L -g -O1 -fsanitize=thread -rdynamic -Iruntime -o "$folder/tsan" tests/threads/test_threads.c "$B/libgdl.a" \
        $(pkg-config --libs libpng zlib libcjson openblas) -lm -ldl -pthread > "$folder/log" 2>&1
    for name in stacked denoising; do
        library models/$name.gdl $name "-g -O1 -fsanitize=thread" --blas=none --threads=posix > "$folder/log" 2>&1 &&
            "$folder/tsan" "$folder/$name.so" $name 2 > "$folder/log" 2>&1
        count "$name under ThreadSanitizer"
    done
else
    echo "note: no ThreadSanitizer; races are not looked for"
fi

if command -v valgrind > "$folder/log"; then
    library models/tied.gdl tied -O1 --blas=none --threads=posix &&
        valgrind -q --leak-check=full --error-exitcode=9 "$program" "$folder/tied.so" tied 1 > "$folder/log" 2>&1
    count "tied under valgrind"
else
    echo "note: no valgrind; leaks are not looked for"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
