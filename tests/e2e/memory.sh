#!/usr/bin/env bash
# A run's peak memory is what `plan` predicts, within 20 %: weights, the workspace of the largest wave, a fixed share.
source "$(dirname "$0")/small_spec.inc"
! grep -qa __asan_init "$KNOCKOUT" || { echo "skipped: what the address sanitizer keeps for itself is no measure"; exit 77; }

cat >"$scratch/wide.yaml" <<YAML
models: [$scratch/wide]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, select: all, sample: {n: 40, seed: 0}}
routes: [last<-subject, last<-relation, last<-last]
windows: {sizes: [2], starts: all}
YAML

# A Mamba of 40 million random parameters, with the bundled tokenizer.
mkdir "$scratch/wide"
cp "$KO_SOURCE_DIR/jobs/models/mamba-facts/tokenizer.json" "$scratch/wide"
"$python" - "$scratch/wide" <<'PY'
import json
import struct
import sys

import numpy as np

layers, d, state, rank, vocabulary = 6, 768, 16, 48, 16384
inner = 2 * d
shapes = {"backbone.embeddings.weight": [vocabulary, d], "backbone.norm_f.weight": [d]}
for i in range(layers):
    mixer = {"A_log": [inner, state], "D": [inner], "conv1d.bias": [inner], "conv1d.weight": [inner, 1, 4],
             "dt_proj.bias": [inner], "dt_proj.weight": [inner, rank], "in_proj.weight": [2 * inner, d],
             "out_proj.weight": [d, inner], "x_proj.weight": [rank + 2 * state, inner]}
    shapes |= {f"backbone.layers.{i}.mixer.{k}": v for k, v in mixer.items()}
    shapes[f"backbone.layers.{i}.norm.weight"] = [d]
random, header, data, at = np.random.default_rng(0), {}, [], 0
for name, shape in shapes.items():
    values = (random.standard_normal(shape, np.float32) * 0.02).tobytes()
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(values)]}
    at += len(values)
    data.append(values)
text = json.dumps(header).encode()
with open(f"{sys.argv[1]}/model.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + b"".join(data))
json.dump({"model_type": "mamba", "hidden_size": d, "num_hidden_layers": layers, "state_size": state, "time_step_rank": rank,
           "vocab_size": vocabulary}, open(f"{sys.argv[1]}/config.json", "w"))
PY

for spec in "$scratch/spec.yaml" "$scratch/wide.yaml"; do
    predicted=$("$KNOCKOUT" plan "$spec" --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["peak_bytes"])')
    "$python" - "$predicted" "$KNOCKOUT" run "$spec" -o "$scratch/cube.h5" --overwrite --threads 1 --progress none \
        --log-level warn <<'PY' || fail "$spec: the prediction is off"
import resource
import subprocess
import sys

predicted = float(sys.argv[1])
subprocess.run(sys.argv[2:], check=True)
measured = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(f"peak memory {measured / 2**20:.0f} MiB, predicted {predicted / 2**20:.0f} MiB: {measured / predicted:.2f}")
sys.exit(not 0.8 <= measured / predicted <= 1.2)
PY
done
