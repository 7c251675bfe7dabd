#!/bin/sh
# A C compiler that compiles nothing twice: several parts of the tests look at the same emitted models.
#
#     tests/cached.sh COMPILER OPTION... -o OUTPUT SOURCE.c... [LIBRARY...]
#
# Objects are kept in $B/tests/objects, each under a sum of all that it depends on: the compiler, the options, the source and what that
# includes of the project, without their comments, which name folders. They are linked to the output. With -Werror in the options what is
# kept has no warning.
objects=${B:-build}/tests/objects
mkdir -p "$objects" || exit 1
compiler=$1 output='' sources='' options=-fPIC folders='' linking=''
shift
while [ $# -gt 0 ]; do
    case $1 in
    -o) output=$2 && shift ;;
    -I) folders="$folders -I$2" && shift ;;
    -I*) folders="$folders $1" ;;
    -shared | -rdynamic | -pthread | -l* | *.a) linking="$linking $1" ;;
    *.c) sources="$sources $1" ;;
    *) options="$options $1" ;;
    esac
    shift
done

# texts FILE: its text and those of the headers that it names, which lie beside it or in the folders of -I.
texts() (
    grep -v '^ \*' "$1"
    for name in $(sed -n 's/^#include "\(.*\)"/\1/p' "$1"); do
        for folder in "$(dirname "$1")" $(echo "$folders" | sed 's/ -I */ /g'); do
            [ -e "$folder/$name" ] && texts "$folder/$name" && break
        done
    done
)

# shellcheck disable=SC2086 # several words
for source in $sources; do
    sum=$({ $compiler --version && printf '%s\n' $options | sort && texts "$source"; } | cksum | tr ' ' -)
    object=$objects/$sum.o
    if [ -e "$object" ]; then touch "$object"; else
        # Under another name first: others may be at work on the same.
        $compiler $options $folders -c "$source" -o "$object.$$" && mv "$object.$$" "$object" || exit 1
    fi
    linking="$object $linking"
done
# shellcheck disable=SC2086
exec $compiler $options -o "$output" $linking
