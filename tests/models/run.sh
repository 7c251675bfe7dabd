#!/bin/sh
# The models and what models/README.md says of them: every model is in its table, with the parameters that `gdlc --summary` counts.
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

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
