#!/bin/sh
# The demo: draws garments, compiles models/vae.gdl to a trainer, trains it for about a minute, and makes three pictures.
# `make demo` calls it. Everything goes to the folder demo/ in the build folder, B.
set -eu
cd "$(dirname "$0")/.."
B=${B:-build}
out=$B/demo
data=$out/data/train-images-idx3-ubyte.gz
fresh=$out/data/t10k-images-idx3-ubyte.gz # pictures that the model has not learnt from
mkdir -p "$out"

say() { printf '\n── %s\n' "$1"; }

say "Drawing 12,000 garments for training and 2,000 others"
"$B/examples/garments" "$out/data" --sheet "$out/garments.png"

say "Compiling models/vae.gdl, a variational autoencoder, to a trainer"
"$B/gdlc" models/vae.gdl -o "$out/vae"
"$out/vae" summary

say "Training: about a minute"
"$out/vae" train --data x="$data" --valid x="$fresh" --epochs "${EPOCHS:-100}" --save "$out/vae.safetensors" --history "$out/history.csv"

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
