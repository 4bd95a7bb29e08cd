#!/bin/bash
# Nothing that a checkpoint, tokenizer, spec or cube says can start a program, load code or reach the network: no object of the
# program refers to a function that does, but for those listed here. The libraries that it links are not looked at.
set -u
: "${KNOCKOUT:?the program}"
command -v nm >/dev/null || { echo "skipped: nm is missing"; exit 77; }

build=$(dirname "$(dirname "$KNOCKOUT")")
# OBJECT FUNCTION REASON
allowed="restart.c.o execv starts itself anew, once, with OPENBLAS_CORETYPE and OpenMP's spin count
guard.c.o fork opens a cube first in a process of its own
guard.c.o socketpair talks to that process"
refused='system|popen|v?fork|clone|exec(v|ve|vp|vpe|l|le|lp|veat)|fexecve|posix_spawnp?|dlopen|dlmopen|socket|socketpair|connect|bind|listen|accept4?|getaddrinfo|gethostbyname|send(to|msg)|recv(from|msg)'

objects=$(find "$build" -name '*.o' -path '*.dir/*' ! -path '*/tests/*' ! -path '*/CMakeScratch/*' ! -path '*/CompilerId*')
n_objects=$(wc -l <<<"$objects")
[ "$n_objects" -ge 150 ] || { echo "FAILED: only $n_objects objects in $build"; exit 1; }
found=$(while IFS= read -r object; do
    nm --undefined-only --format=posix "$object" | awk -v object="${object##*/}" '{ sub(/@.*/, "", $1); sub(/^__gcov_/, "", $1); print object, $1 }'
done <<<"$objects" | grep -E " (__)?($refused)\$" | sort -u)
grep -qx 'restart.c.o execv' <<<"$found" || { echo "FAILED: even restart.c.o, which calls execv, seems to call nothing"; exit 1; }
others=$(grep -vxFf <(cut -d' ' -f1,2 <<<"$allowed") <<<"$found")
if [ -n "$others" ]; then
    echo "FAILED: calls that are not in the list of this test, OBJECT FUNCTION:"
    echo "$others"
    exit 1
fi
echo "ok: $n_objects objects; $(wc -l <<<"$found") such calls, all listed"
