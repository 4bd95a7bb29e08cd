#!/usr/bin/env bash
# A failure on one rank ends all ranks within seconds, with that rank's message.
source "$(dirname "$0")/small_spec.inc"

# name, tensor, value, words of the message, whether they must name a rank
try() {
    cp -r "$KO_SOURCE_DIR/jobs/models/mamba-facts" "$scratch/$1"
    cubes overwrite "$scratch/$1" "$2" "$3"
    sed "s|$KO_SOURCE_DIR/jobs/models/mamba-facts|$scratch/$1|" "$scratch/spec.yaml" >"$scratch/$1.yaml"
    for ranks in 1 4; do
        status=0
        start=$SECONDS
        "$KO_LAUNCH" 60 "$ranks" "$KNOCKOUT" run "$scratch/$1.yaml" -o "$scratch/$1.h5" --overwrite --threads 1 \
            --progress none --log-level error 2>"$scratch/err" || status=$?
        cat "$scratch/err"
        # Now and then (1 of 45 runs) the mpirun of Open MPI 5.0.7 waits for ever, although all ranks are gone and it has said so.
        if [ "$status" -eq 137 ] && grep -aq '^prterun detected' "$scratch/err" && grep -aq 'Exit code: *1$' "$scratch/err"; then
            echo "mpirun did not end after the ranks"
            status=1 start=$SECONDS
        fi
        [ "$status" -eq 1 ] || fail "$1 on $ranks ranks: exit $status, not 1"
        [ $((SECONDS - start)) -le $((20 * slow)) ] || fail "$1 on $ranks ranks: took $((SECONDS - start)) s to end"
        grep -a '^knockout: ' "$scratch/err" | grep -q "$4" || fail "$1 on $ranks ranks: no word of '$4'"
        [ "$(grep -ac '^knockout: ' "$scratch/err")" -eq 1 ] || fail "$1 on $ranks ranks: more than one message"
        [ "$ranks" -eq 1 ] || grep -a '^knockout: ' "$scratch/err" | grep -q 'rank [1-3] on ' || fail "$1: the rank is not named"
        [ ! -e "$scratch/$1.h5" ] || fail "$1: a cube is left behind"
    done
}

try not-a-number backbone.layers.7.mixer.D nan 'backbone.layers.7.mixer.D: element 0 is not finite'
try overflow backbone.norm_f.weight 3e38 'the distribution over the vocabulary is not finite'
