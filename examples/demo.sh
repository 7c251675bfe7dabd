#!/bin/sh
# The demo: draws garments, compiles models/vae.gdl to a trainer, trains it for about a minute, and makes three pictures.
# `make demo` calls it.
#
#     examples/demo.sh [SECONDS]     of training: 60
#
# It finds what was built in B, writes to DEMO, and draws COUNT garments.
set -eu
cd "$(dirname "$0")/.."
B=${B:-build}
out=${DEMO:-$B/demo}
count=${COUNT:-30000}
data=$out/data/train-images-idx3-ubyte.gz
fresh=$out/data/t10k-images-idx3-ubyte.gz # pictures that the model has not learnt from
seconds=${1:-60}
mkdir -p "$out"

say() { printf '\n── %s\n' "$1"; }

say "Drawing $count garments for training, and a sixth of that for tests"
"$B/examples/garments" "$out/data" --count "$count" --sheet "$out/garments.png"

say "Compiling models/vae.gdl, a variational autoencoder, to a trainer"
"$B/gdlc" models/vae.gdl -o "$out/vae"
"$out/vae" summary

train() {
    "$out/vae" train --data x="$data" --valid x="$fresh" --save "$out/vae.safetensors" --history "$out/history.csv" "$@"
}
say "Training: two epochs, to see how fast this machine is"
start=$(date +%s)
train --epochs 2
taken=$(($(date +%s) - start + 1))
epochs=$((2 * seconds / taken))
[ $epochs -gt 2 ] || epochs=3
say "Going on to epoch $epochs: until about $seconds seconds are over"
train --epochs $epochs --resume "$out/vae.safetensors"

say "Making pictures"
"$out/vae" run reconstruct --load "$out/vae.safetensors" --data x="$fresh" --count 24 --out "$out/reconstructions.png"
"$out/vae" run generate --load "$out/vae.safetensors" --count 40 --seed 1 --out "$out/generated.png"
"$B/examples/interpolation" "$out/vae.safetensors" "$fresh" "$out/interpolation.png"

cat <<END

Look at:
  $out/garments.png         some of the drawn garments, a class in each row
  $out/reconstructions.png  garments that the model had not seen, and below each what it made of them
  $out/generated.png        garments that never were: decoded from random codings
  $out/interpolation.png    from garment to garment in small steps
END
