#!/bin/sh
# Every model of models/: its sizes, that it compiles without a warning, learns in a short training, and that its nets and exports give
# finite values of the right shape. Then what the code for frozen nets may not compute, and principal components.
# On MNIST where ../shared/data has it, else on drawn garments.
cd "$(dirname "$0")/../.." || exit 1
. tests/options.sh
B=${B:-build}
case $B in /*) ;; *) B=$PWD/$B ;; esac
gdlc=$B/gdlc arrays=$B/tests/models/test_arrays models=$PWD/models
mnist=$PWD/../shared/data/mnist
temporary=$(mktemp -d) || exit 1
trap 'rm -rf "$temporary"' EXIT
passed=0 failed=0

# check WHAT COMMAND...: counts whether the command succeeds, and shows what it said where it does not.
check() {
    what=$1
    shift
    if "$@" > "$temporary/said" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what: $(tail -n 3 "$temporary/said" | tr '\n' ' ')"
    fi
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

# same EXPECTED FOUND
same() { [ "$1" = "$2" ] || { echo "expected $1, found $2" && false; }; }

# ── sizes ────────────────────────────────────────────────────────────────────────────────────

# in_table MODEL: the model's row in models/README.md has the parameters that the compiler counts.
in_table() {
    same "$("$gdlc" --summary "$models/$1.gdl" | awk '/^trainable parameters/ { print $3 }')" \
         "$(awk -F'|' -v name=" \`$1.gdl\` " '$2 == name { gsub(/ /, "", $4); print $4 }' "$models/README.md")"
}

# has_size MODEL NET COUNT: the parameters of one net, as Keras counts them.
has_size() { same "$3" "$("$gdlc" --summary "$models/$1.gdl" | awk -v net="$2" '$1 == "net" && $2 == net && NF == 3 { gsub(/,/, "", $3); print $3 }')"; }

for model in "$models"/*.gdl; do
    name=$(basename "$model" .gdl)
    check "$name in models/README.md" in_table "$name"
done
for name in $(sed -n 's/^| `\([a-z_0-9]*\)\.gdl` |.*/\1/p' "$models/README.md"); do
    check "$name of models/README.md exists" test -e "$models/$name.gdl"
done
while read -r name net count; do
    check "size of $name's $net" has_size "$name" "$net" "$count"
done << END
pca encoder 8
pca decoder 9
simple encoder 209184
simple decoder 209936
stacked encoder 81530
stacked decoder 82284
tied encoder 81530
tied decoder 884
denoising encoder 81530
denoising decoder 82284
denoising_gaussian encoder 81530
denoising_gaussian decoder 82284
sparse_l1 encoder 108800
sparse_l1 decoder 109284
sparse_kl encoder 108800
sparse_kl decoder 109284
vae encoder 134870
vae decoder 134634
conv encoder 23296
conv decoder 23233
dcgan generator 840705
dcgan discriminator 212865
recurrent encoder 67320
recurrent decoder 55228
gan generator 136634
gan discriminator 132951
gan_batchnorm discriminator 533505
END

# ── what is computed for frozen nets ─────────────────────────────────────────────────────────

# contractions MODEL ENTRY COUNT: the matrix products in the graph of one entry.
contractions() {
    same "$3" "$("$gdlc" "$models/$1.gdl" --emit graph | awk -v entry="$2(" '/^[a-z]/ { on = index($0, entry) > 0 } on && $3 == "dot" { n++ } END { print n + 0 }')"
}

# A dense layer takes one contraction forward, one for its weights' gradient, one for its input's, which is elementwise where it has one
# unit. Beside each: layers of the frozen net, then of the one that learns (whose first layer needs no gradient of its input).
check "no backward pass through gan's generator in discriminate" contractions gan "phase discriminate" $((3 + 3 + 3 + 1))
check "no gradient of the weights of gan's discriminator in generate" contractions gan "phase generate" $((3 + 3 + 2 + 3 + 2))
check "no backward pass through wgan's generator" contractions wgan "phase criticise" $((3 + 2 * (3 + 3 + 1)))
check "no gradients of the first encoder in the second stage of greedy" contractions greedy "phase second" $((1 + 2 + 2 + 1))
check "no backward pass through pretrained's encoder in head_only" contractions pretrained "phase head_only" $((2 + 1 + 1))

# ── training and running ─────────────────────────────────────────────────────────────────────

if nm "$B/libgdl.a" 2>/dev/null | grep -q __asan_init; then
    echo "skipped: a trainer is linked without the sanitizers that this libgdl.a needs"
    finish
fi
cd "$temporary" || exit 1
images=$mnist/t10k-images-idx3-ubyte.gz labels=$mnist/t10k-labels-idx1-ubyte.gz # the smaller files
if [ ! -e "$images" ]; then
    echo "no ../shared/data/mnist: on drawn garments"
    "$B/examples/garments" . --count 3000 > /dev/null 2>&1
    images=$PWD/train-images-idx3-ubyte.gz labels=$PWD/train-labels-idx1-ubyte.gz
fi
"$arrays" cloud cloud.npy 20000

CC=$CACHED_CC CFLAGS=$EMITTED
export B CC CFLAGS
builds() { "$gdlc" "$models/$1.gdl" -o "$1" > said_by_gdlc 2>&1 && same "" "$(cat said_by_gdlc)"; }

# ports "x: [28, 28], label: class[10]": NAME:TYPE of each, without spaces, one on a line.
ports() { echo "$1" | tr -d ' ' | sed 's/,\([a-z]\)/\n\1/g'; }

# Sizes that are known only at run time are 28 here, as in the images.
sizes() { echo "$1" | tr -d '[]' | tr , ' ' | sed 's/[a-z][a-z_0-9]*/28/g'; }
lengths() { echo "$1" | grep -o '\[[^]]*\]' | grep -o '[a-z][a-z_0-9]*' | sort -u | sed 's/.*/--size &=28/'; }

# real PORTS, drawn PORTS: a --data option for each input; of the data set, or of 200 examples that mean nothing.
real() {
    ports "$1" | while IFS=: read -r name type; do
        case $type in class*) echo "--data $name=$labels" ;; *) echo "--data $name=$images" ;; esac
    done
}
drawn() {
    ports "$1" | while IFS=: read -r name type; do
        file=drawn$(sizes "$type" | tr ' ' x).npy
        case $type in
        "") ;;
        class*) echo "--data $name=digits" ;;
        *) { [ -e "$file" ] || "$arrays" draw "$file" 200 $(sizes "$type"); } && echo "--data $name=$file" ;;
        esac
    done
}
{ printf '\0\0\10\1\0\0\0\310' && yes 0123456789 | head -n 20 | tr -d '\n' | tr 0-9 '\0-\11'; } > digits # IDX: 200 bytes

# signatures MODEL run|train: from its help, `NAME(INPUTS)` and what follows, one on a line.
signatures() { "./$1" "$2" --help | awk '/^In / { on = 1; next } on { if (/^  [a-z_0-9]*\(/) printf "%s%s", sep, $0; else printf " %s", $0; sep = "\n" } END { print "" }' | sed 's/^ *//'; }

trains() {
    data=$(signatures "$1" train | while IFS= read -r line; do line=${line#*(} && real "${line%%)*}"; done | sort -u)
    # shellcheck disable=SC2086 # one word for each option
    "./$1" train $data --limit "$2" --epochs 3 --save "$1.safetensors" --history "$1.csv"
}

# falls MODEL COLUMN: in every stage that reports it, the column of the history is lower in the last epoch than in the first.
falls() {
    awk -F, -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i; next }
        { if (!($1 in first)) first[$1] = $column; last[$1] = $column }
        END { for (s in first) { n++; if (!(last[s] + 0 < first[s] + 0)) { print s ": " name " went from " first[s] " to " last[s]; bad = 1 } }
              exit bad || !column || !n }' "$1.csv"
}

# nearer MODEL: the mean of generated images is nearer to that of the data than before the training.
nearer() {
    data=$(drawn "$(signatures "$1" run | sed -n 's/^generate(\([^)]*\)).*/\1/p')")
    # shellcheck disable=SC2086
    "./$1" run generate $data --count 200 --out before.npy &&
        "./$1" run generate $data --count 200 --load "$1.safetensors" --out after.npy &&
        "$arrays" nearer "$images" before.npy after.npy
}

# runs MODEL FUNCTION INPUTS OUTPUTS: 5 results, of the shapes that OUTPUTS ("mean: [10], log_var: [10]") say.
runs() {
    # shellcheck disable=SC2046
    "./$1" run "$2" --load "$1.safetensors" --count 5 $(lengths "$3, $4") $(drawn "$3") $(ports "$4" | sed 's/\(.*\):.*/--out \1=\1.out.npy/') || return 1
    for output in $(ports "$4"); do
        # shellcheck disable=SC2046
        "$arrays" finite "${output%%:*}.out.npy" 5 $(sizes "${output#*:}") || return 1
    done
}

# Models, the examples that each is trained on, and what shows that it learns.
while read -r name examples how column; do
    check "$name compiles without a warning" builds "$name"
    check "$name trains" trains "$name" "$examples"
    check "$name learns" "$how" "$name" $column
    signatures "$name" run > functions
    while IFS= read -r line; do
        arguments=${line#*(}
        check "$name runs ${line%%(*}" runs "$name" "${line%%(*}" "${arguments%%)*}" "${line#* gives }"
    done < functions
    echo "$name" >> seen
done << END
simple 2000 falls loss
stacked 2000 falls loss
tied 2000 falls loss
greedy 2000 falls loss
pretrained 2000 falls loss
denoising 2000 falls loss
denoising_gaussian 2000 falls loss
sparse_l1 2000 falls loss
sparse_kl 2000 falls loss
vae 2000 falls loss
beta_vae 2000 falls loss
conv 400 falls loss
conv_vae 400 falls loss
vqvae 300 falls loss
rbm 2000 falls reconstruction_error
recurrent 500 falls loss
recurrent_denoising 300 falls loss
recurrent_variational 500 falls loss
classifier 2000 falls loss
gan 2000 nearer
gan_batchnorm 2000 nearer
gan_replay 2000 nearer
gan_minibatch 2000 nearer
wgan 3000 nearer
wgan_gp 2000 nearer
cgan 8000 nearer
dcgan 320 nearer
cgan_conv 320 nearer
wgan_gp_conv 500 falls criticise.loss
END

# A model without activations finds the plane of the principal components.
components() {
    ./pca train --data x=cloud.npy --save pca.safetensors && ./pca run reconstruct --load pca.safetensors --data x=cloud.npy --out plane.npy &&
        "$arrays" components cloud.npy plane.npy
}
check "pca compiles without a warning" builds pca
check "pca finds the principal components" components
echo pca >> seen

every_model() { same "$(ls "$models" | sed -n 's/\.gdl$//p' | sort)" "$(sort seen)"; }
check "every model was tried" every_model
finish
