#!/usr/bin/env bash
# The program of a hardened build has what the flags ask for: an attacker who finds a bug in a reader finds no fixed address, no
# writable table of functions, no executable stack, and libc calls that know their buffers' sizes. $KO_HARDENED: 1 where it is one.
set -euo pipefail

skip() {
    echo "skipped: $1"
    exit 77
}
fail() {
    echo "hardening: $1" >&2
    exit 1
}

[ "${KO_HARDENED:-0}" = 1 ] || skip "this build is not hardened (KNOCKOUT_HARDEN)"
command -v readelf >/dev/null || skip "there is no readelf (binutils)"

header=$(readelf -hW "$KNOCKOUT")
segments=$(readelf -lW "$KNOCKOUT")
dynamic=$(readelf -dW "$KNOCKOUT")
symbols=$(readelf --dyn-syms -W "$KNOCKOUT")

grep -qE 'Type: +DYN' <<<"$header" || fail "not position-independent: $(grep Type: <<<"$header")"
grep -q INTERP <<<"$segments" || fail "a library and no program"
grep -q GNU_RELRO <<<"$segments" || fail "relocations stay writable (no GNU_RELRO)"
grep -qE 'BIND_NOW|FLAGS_1.* NOW' <<<"$dynamic" || fail "functions are bound late, so their table stays writable (no BIND_NOW)"
grep -qE 'GNU_STACK .* RW ' <<<"$segments" || fail "the stack is executable: $(grep GNU_STACK <<<"$segments")"
if grep -qE 'TEXTREL' <<<"$dynamic"; then
    fail "relocations in the code (TEXTREL)"
fi
grep -q '__stack_chk_fail' <<<"$symbols" || fail "no stack protector"
for call in snprintf vsnprintf memcpy; do
    grep -q "__${call}_chk" <<<"$symbols" || fail "no fortified $call"
done
echo "hardening: position-independent, read-only relocations, stack protector, $(grep -c '_chk@' <<<"$symbols") fortified calls"
