#!/bin/sh
# The models and what is written about them: every model is in the table of models/README.md, with the parameters that `gdlc --summary`
# counts, and the model that README.md shows is models/vae.gdl.
gdlc=${B:-build}/gdlc
passed=0 failed=0

# report MODEL PROBLEM: PROBLEM is empty when all is well.
report() {
    if [ -z "$2" ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "failed: $1: $2"; fi
}

for model in models/*.gdl; do
    row=$(grep -F "| \`${model#models/}\` |" models/README.md)
    written=$(echo "$row" | awk -F'|' '{ gsub(/ /, "", $4); print $4 }')
    counted=$("$gdlc" --summary "$model" | awk '/^trainable parameters/ { print $3 }')
    if [ -z "$row" ]; then report "$model" "models/README.md has no row for it"
    elif [ "$written" != "$counted" ]; then report "$model" "models/README.md says $written parameters, gdlc --summary counts $counted"
    else report "$model" ""; fi
done
for name in $(sed -n 's/^| `\([a-z_0-9]*\.gdl\)` |.*/\1/p' models/README.md); do
    [ -e "models/$name" ] || report "$name" "models/README.md has a row for it, but there is no such model"
done
if awk '/^```$/ { if (inside) exit; inside = 1; next } inside' README.md | cmp -s - models/vae.gdl; then report README.md ""
else report README.md "the model that it shows is not that of models/vae.gdl"; fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
