#!/bin/sh
# Emitted models against results that PyTorch computed; see the scripts truth*.py, which are not needed here.
B=${B:-build}
. tests/options.sh
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

# Models, the file of what is expected of them, and options of gdlc.
while read -r name truth options; do
    # shellcheck disable=SC2086 # one word for each option
    "$B/gdlc" $options "tests/torch/$name.gdl" -o "$folder/$name.c" > "$folder/log" 2>&1 &&
        $CACHED_CC -std=c11 -O1 $CFLAGS_EMITTED -shared -I"$B/include" $(pkg-config --cflags openblas) -o "$folder/$name.so" "$folder/$name.c" \
            $(pkg-config --libs openblas) -lm >> "$folder/log" 2>&1 &&
        "$B/tests/torch/test_torch" "tests/torch/$truth.safetensors" "$folder/$name.so" "$name" > "$folder/log" 2>&1
    sed '$d' "$folder/log" | head -n 40
    result=$(tail -n 1 "$folder/log")
    case $result in
    *" passed, "*" failed") passed=$((passed + ${result%% passed*})) rest=${result#*, } failed=$((failed + ${rest%% failed})) ;;
    *) echo "$result" && failed=$((failed + 1)) ;;
    esac
done << END
initialisers truth
values truth
optimizers truth
stacked truth
tied truth
vae truth
convolutions images
conv images
dcgan images -D rate=0
sequences recurrent
recurrent recurrent
gated recurrent
gan gan
gan gan_few
gan_batchnorm gan
wgan_gp gan
wgan_gp gan_few
END

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
