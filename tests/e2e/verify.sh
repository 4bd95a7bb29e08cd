#!/usr/bin/env bash
# `verify` accepts what was computed and refuses what was changed, naming cells.
source "$(dirname "$0")/small_spec.inc"

# Every other prompt has a foil: another one's answer.
"$python" - "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl" <<'PY'
import json, sys
facts = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
answers = sorted({fact["target"] for fact in facts})
for k, fact in enumerate(facts):
    if k % 2 == 0:
        fact["foil"] = next(a for a in answers[k % len(answers):] + answers if a.strip()[:2] != fact["target"].strip()[:2])
    print(json.dumps(fact))
PY
sed -i "s#file: [^,]*#file: $scratch/facts.jsonl#" "$scratch/spec.yaml"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/cube.h5" --threads 1 --progress none --log-level warn
"$KNOCKOUT" verify "$scratch/cube.h5" --sample 40 >"$scratch/out" || fail "verify of an untouched cube"
cat "$scratch/out"
grep -q 'in KL, [^ ]* in that of the foil$' "$scratch/out" || fail "verify says nothing of foils"
for change in 'logprob 0.01' 'kl 0.01' 'prob 0.01' 'target_rank 1' 'top1_id 7' 'foil_logprob 0.01' 'foil_logprob nan'; do
    read -r dataset delta <<<"$change"
    cp "$scratch/cube.h5" "$scratch/changed.h5"
    cubes change "$scratch/changed.h5" "$dataset" "$delta"
    status=0
    "$KNOCKOUT" verify "$scratch/changed.h5" --sample 40 >"$scratch/out" || status=$?
    cat "$scratch/out"
    [ "$status" -eq 1 ] || fail "verify of a cube with another $dataset exits with $status"
    grep -q 'NOT verified' "$scratch/out" || fail "verify says no verdict"
    grep -q '^  .*facts prompt .* size .* start .* recomputed' "$scratch/out" || fail "verify names no cell"
done

# Branches may leave in either stage of a hybrid layer, and a shared block's output goes beside x. Other
# layers have one kind of mixer, or none.
for name in lfm2 zamba2 zamba2-two-blocks granite-h jamba nemotron-h-experts recurrent-gemma; do
    classes='all, attention, after-softmax'
    case $name in
    lfm2) classes+=', conv' ;;
    recurrent-gemma) classes+=', ssm, all+conv' ;;
    *) classes+=', ssm, slow-third, all+conv' ;;
    esac
    cat >"$scratch/hybrid.yaml" <<YAML
models: [$KO_SOURCE_DIR/tests/data/variants/$name]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, score: raw-first-token, sample: {n: 2, seed: 3}}
routes: [last<-subject, subject<-context, later<-subject, last<-last]
features: [$classes]
windows: {sizes: [1, 3], starts: all}
YAML
    "$KNOCKOUT" run "$scratch/hybrid.yaml" -o "$scratch/$name.h5" --threads 1 --progress none --log-level warn
    "$KNOCKOUT" verify "$scratch/$name.h5" --sample 300 >"$scratch/out" || { cat "$scratch/out"; fail "verify of $name"; }
    cat "$scratch/out"
done

# refused STATUS PATTERN CUBE: verify ends so and says so in one line.
refused() {
    local status=0
    "$KNOCKOUT" verify "$3" --sample 2 >"$scratch/out" 2>"$scratch/err" || status=$?
    cat "$scratch/err"
    [ "$status" -eq "$1" ] || fail "verify of $3 exits with $status, expected $1"
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "verify of $3 does not end with one line"
    grep -q "$2" "$scratch/err" || fail "verify of $3 does not say '$2'"
}
# One cell that is flagged done and has no value, far from what the sample draws.
cp "$scratch/cube.h5" "$scratch/changed.h5"
cubes empty "$scratch/changed.h5" 1
refused 1 '1 cells are flagged done and have no value, the first of prompt .* of mamba-facts' "$scratch/changed.h5"
# Other weights than those that the cells came from.
cp "$scratch/cube.h5" "$scratch/changed.h5"
cubes hash "$scratch/changed.h5"
refused 2 'mamba-facts: the weights have content hash [0-9a-f]*, the cube was made with 0123456789abcdef0123456789abcdef' "$scratch/changed.h5"

# A compressed copy is verified like the cube.
"$KNOCKOUT" export "$scratch/cube.h5" --compress -o "$scratch/copy.h5" 2>"$scratch/err" || fail "compressing"
[ ! -s "$scratch/err" ] || fail "the copy of a complete cube is called incomplete"
"$KNOCKOUT" verify "$scratch/copy.h5" --sample 10 || fail "verify of a copy"
