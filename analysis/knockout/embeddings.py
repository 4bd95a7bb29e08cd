"""Prompts of vision-language models as matrices of embeddings. Needs torch and the model's library, transformers."""
from __future__ import annotations
import json
import os
import struct
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

NAMES = {"torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16"}


def export_embeddings(model: Any, prompts: Iterable[Tuple[Mapping[str, Any], Mapping[str, Any]]],
                      path: Union[str, "os.PathLike[str]"], *, tokenizer: Any = None, dtype: Any = None) -> None:
    """Writes PATH.safetensors, a matrix a prompt, and PATH.jsonl, a line a prompt, for `prompts: {file, embeddings}` of a spec.

    model: of transformers, with a part `language_model`. prompts: pairs of a record (id, target or target_ids, optionally prompt,
    question, foil, relation, targets, options, token_spans) and what the processor returned for one prompt. The matrix is what the
    language model takes after the image features were merged, in dtype (None: the model's). Image tokens become the span `image`, the
    text of `question` behind them the span `question` (needs the tokenizer). docs/embeddings.md has an example."""
    import torch
    pairs, header, at, taken = list(prompts), {}, 0, {}
    part = next(module for name, module in model.named_modules() if name.split(".")[-1] == "language_model")
    hook = part.register_forward_pre_hook(lambda module, args, kwargs: taken.update(kwargs), with_kwargs=True)
    begin = (256 + sum(len(json.dumps(str(record["id"]))) + 128 for record, _ in pairs)) // 8 * 8  # of the data, behind the header
    try:
        with torch.no_grad(), open(f"{os.fspath(path)}.safetensors", "wb") as data, open(f"{os.fspath(path)}.jsonl", "w") as lines:
            data.write(struct.pack("<Q", begin - 8) + b" " * (begin - 8))
            for record, inputs in pairs:
                taken.clear()
                model(**inputs)
                matrix, added = taken["inputs_embeds"][0], taken.get("deepstack_visual_embeds")
                if added:  # DeepStack: [1 + layers, T, d], with what is added at the images' places behind the first layers
                    matrix = torch.cat([matrix[None], matrix.new_zeros(len(added), *matrix.shape)])
                    matrix[1:, taken["visual_pos_masks"][0]] = torch.stack(list(added)).to(matrix.dtype)
                matrix = matrix.detach().to("cpu", dtype or matrix.dtype).contiguous()
                place = [at, at := at + data.write(matrix.view(torch.uint8).numpy().tobytes())]
                header[str(record["id"])] = {"dtype": NAMES[str(matrix.dtype)], "shape": list(matrix.shape), "data_offsets": place}
                spans = _spans(model, inputs["input_ids"][0].tolist(), record.get("question"), tokenizer)
                spans.update(record.get("token_spans", {}))
                turns = taken.get("position_ids")  # [1, T], or [3 or 4, 1, T], whose last three are those of M-RoPE
                ids = {} if turns is None else {"position_ids": (turns[0] if turns.ndim == 2 else turns[-3:, 0]).tolist()}
                lines.write(json.dumps({**record, "embeddings": True, "token_spans": spans, **ids}) + "\n")
            data.seek(8)
            data.write(json.dumps(header).encode())
    finally:
        hook.remove()


def _spans(model: Any, ids: Sequence[int], question: Optional[str], tokenizer: Any) -> Dict[str, List[Any]]:
    """`image`: the runs of image tokens. `question`: the tokens behind them that overlap its text."""
    image = [i for i, token in enumerate(ids) if token == getattr(model.config, "image_token_id", None)]
    begins, ends = ([i for i in image if i + step not in image] for step in (-1, 1))
    spans: Dict[str, List[Any]] = {"image": [[i, j + 1] for i, j in zip(begins, ends)]} if image else {}
    if question and tokenizer is not None:
        first = image[-1] + 1 if image else 0
        length = [len(tokenizer.decode(ids[first:end], clean_up_tokenization_spaces=False)) for end in range(first, len(ids) + 1)]
        begin = tokenizer.decode(ids[first:], clean_up_tokenization_spaces=False).index(question)
        inside = [first + k for k in range(len(length) - 1) if length[k + 1] > begin and length[k] < begin + len(question)]
        spans["question"] = [inside[0], inside[-1] + 1]
    return spans
