#!/bin/sh
# Emitted models against results that PyTorch computed; see truth.py, which is not needed here.
B=${B:-build}
CC=${CC:-cc}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

for name in initialisers values optimizers stacked tied vae; do
    "$B/gdlc" "tests/torch/$name.gdl" -o "$folder/$name.c" > "$folder/log" 2>&1 &&
        $CC -std=c11 -O2 $CFLAGS_EMITTED -shared -fPIC -I"$B/include" $(pkg-config --cflags openblas) -o "$folder/$name.so" "$folder/$name.c" \
            $(pkg-config --libs openblas) -lm >> "$folder/log" 2>&1 &&
        "$B/tests/torch/test_torch" tests/torch/truth.safetensors "$folder/$name.so" "$name" > "$folder/log" 2>&1
    sed '$d' "$folder/log" | head -n 40
    result=$(tail -n 1 "$folder/log")
    case $result in
    *" passed, "*" failed") passed=$((passed + ${result%% passed*})) rest=${result#*, } failed=$((failed + ${rest%% failed})) ;;
    *) echo "$result" && failed=$((failed + 1)) ;;
    esac
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
