#!/usr/bin/env bash
# The files that people have at hand: counterfact-tracing without ids, a model by its name on the hub, a state dict with a beginning in
# front of every name. What plan, inspect and the log of a run say of them.
source "$(dirname "$0")/small_spec.inc"

"$python" -c 'import h5py, numpy' 2>/dev/null || { echo "skipped: Python lacks h5py or numpy"; exit 77; }
has() { # FILE TEXT
    grep -qF -- "$2" "$1" || { cat "$1"; fail "'$2' is not printed"; }
}

cd "$scratch"
cat >ct.csv <<'CSV'
,relation,relation_prefix,relation_suffix,prompt,relation_id,target_false_id,target_true_id,target_true,target_false,subject
0,a,b,c,The city of Kabul is known to everyone as the capital of,P1,Q1,Q2, Afghanistan, Austria, Kabul
1,a,b,c,The city of Vienna is known to everyone as the capital of,P1,Q1,Q2, Austria, Afghanistan, Vienna
CSV
export HF_HUB_CACHE=$scratch/hub
mkdir -p hub/models--acme--tiny/snapshots hub/models--acme--tiny/refs
cp -r "$KO_SOURCE_DIR/jobs/models/gpt2-facts" hub/models--acme--tiny/snapshots/0123abc
printf 0123abc >hub/models--acme--tiny/refs/main
cat >hub.yaml <<'YAML'
models: [acme/tiny]
prompts: {file: ct.csv}
routes: [last<-subject]
windows: {sizes: [1], starts: [0]}
YAML

echo "== rows are numbered, and plan says so"
"$KNOCKOUT" plan hub.yaml >out
has out "acme/tiny  gpt2"
has out "ct.csv: has no ids, so that a prompt's id is its number, from 0"
has out "prompt 1, as acme/tiny"
"$KNOCKOUT" plan hub.yaml --json >out
has out "has no ids"

echo "== a beginning of all names is left out"
folder=hub/models--acme--tiny/snapshots/0123abc
"$python" - "$folder/model.safetensors" <<'PYTHON'
import json, os, struct, sys
data = open(sys.argv[1], "rb").read()
(n,) = struct.unpack("<Q", data[:8])
header = {k if k == "__metadata__" else "_orig_mod." + k: v for k, v in json.loads(data[8:8 + n]).items()}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
os.remove(sys.argv[1])
open(sys.argv[1], "wb").write(struct.pack("<Q", len(text)) + text + data[8 + n:])
PYTHON
"$KNOCKOUT" inspect acme/tiny >out
has out "all begin with '_orig_mod.', which is left out"
has out "nothing stops it from running"
"$KNOCKOUT" run hub.yaml -o cube.h5 --progress none 2>log
has log "note acme/tiny: all tensors' names begin with '_orig_mod.', which is left out"
has log "ct.csv: has no ids"

echo "== the same bits as without it"
sed "s#acme/tiny#{name: acme/tiny, path: $KO_SOURCE_DIR/jobs/models/gpt2-facts}#" hub.yaml >plain.yaml
"$KNOCKOUT" run plain.yaml -o plain.h5 --progress none --log-level warn
"$python" - <<'PYTHON'
import h5py, numpy
a, b = (h5py.File(name)["logprob"][...] for name in ("cube.h5", "plain.h5"))
assert numpy.isfinite(a).all() and numpy.array_equal(a, b), (a, b)
PYTHON

echo "== several snapshots and no refs/main: none is chosen"
rm hub/models--acme--tiny/refs/main
mkdir hub/models--acme--tiny/snapshots/4567def
status=0
"$KNOCKOUT" plan hub.yaml >out 2>log || status=$?
[ "$status" -eq 2 ] || fail "plan exits with $status"
has log "hub.yaml:1:10: models: '$scratch/hub/models--acme--tiny' has 2 snapshots and no refs/main"
