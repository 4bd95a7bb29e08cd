"""Compare cells of prompts that went through a real processor of transformers with the classes of its models.

Usage: compare_processors.py PROGRAM

Makes a tiny LLaVA and a tiny Qwen2.5-VL with their processors (image processors from their settings, the tokenizer of a demo model with
the image's tokens added), saves and opens both with the Auto classes, passes pictures and texts through processor and
knockout.export_embeddings, and sweeps them. The clean runs must be those of the whole model, pictures included, the cells those of
compare_embeddings.py, and the spans the processor's image tokens and the question's tokens. Exits with 77 where a library is missing.
"""
import sys
import tempfile
from pathlib import Path

from golden_command import need

need("torch", "transformers", "tokenizers", "safetensors", "h5py", "PIL")

import numpy as np
import torch
import transformers
from PIL import Image
from transformers.processing_utils import ProcessorMixin

import compare_embeddings as tiny
from embeddings import export_embeddings

QUESTION = "What is the capital of France?"
VIDEO, START, IMAGE, END, ALL = 2397, 2398, 2399, 2400, 2408  # ids behind the demo tokenizer's, and the vocabulary
tiny.TEXT["vocab_size"] = ALL
HAS_TORCHVISION = transformers.utils.is_torchvision_available()


class ImagesAlone(transformers.Qwen2_5_VLProcessor):
    """Qwen2.5-VL's processor without its part for videos, which needs torchvision."""

    def __init__(self, image_processor=None, tokenizer=None):
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id, self.video_token_id = IMAGE, VIDEO
        ProcessorMixin.__init__(self, image_processor, tokenizer)


def open_tokenizer(added):
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tiny.TOKENIZER), bos_token="<s>", eos_token="</s>", pad_token="</s>")
    tokenizer.add_special_tokens({"additional_special_tokens": added})
    assert tokenizer.convert_tokens_to_ids(added) == list(range(VIDEO, VIDEO + len(added)))
    return tokenizer


def llava_processor():
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    return transformers.LlavaProcessor(image_processor=pictures, tokenizer=open_tokenizer(["<a>", "<b>", "<image>"]), patch_size=6,
                                       vision_feature_select_strategy="default", num_additional_image_tokens=1)


def qwen_processor():
    pictures = transformers.Qwen2VLImageProcessor(patch_size=4, min_pixels=8 * 8, max_pixels=24 * 24)
    tokenizer = open_tokenizer(["<|video_pad|>", "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"])
    if not HAS_TORCHVISION:
        return ImagesAlone(image_processor=pictures, tokenizer=tokenizer)
    return transformers.Qwen2_5_VLProcessor(image_processor=pictures, tokenizer=tokenizer,
                                            video_processor=transformers.Qwen2VLVideoProcessor(patch_size=4))


PROCESSORS = {"llava": (llava_processor, "USER: {} ASSISTANT:", "<image>\n"),
              "qwen2.5-vl": (qwen_processor, "user\n{}\nassistant\n", "<|vision_start|><|image_pad|><|vision_end|>")}


def picture(width, height, seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def prompts(name, processor):
    """A wide picture, a tall one, and two at once."""
    _, frame, image = PROCESSORS[name]
    for k, pictures in enumerate(([picture(45, 31, 0)], [picture(20, 37, 1)], [picture(30, 30, 2), picture(41, 25, 3)])):
        text = frame.format(image * len(pictures) + QUESTION)
        inputs = processor(images=pictures, text=text, return_tensors="pt")
        yield {"id": f"picture/{k}", "prompt": text, "question": QUESTION, "target": "Paris"}, inputs


def open_saved(name, folder):
    """Model and processor, saved and opened again as a user opens a published checkpoint."""
    model, processor = tiny.make(name, folder), PROCESSORS[name][0]()
    processor.save_pretrained(folder)
    opened = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    opened.set_attn_implementation("eager")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), opened.parameters()))
    if type(processor) is not ImagesAlone:
        processor = transformers.AutoProcessor.from_pretrained(folder)
    return opened, processor


def check_spans(record, inputs, tokenizer):
    ids = inputs["input_ids"][0].tolist()
    runs = [i for begin, end in record["token_spans"]["image"] for i in range(begin, end)]
    assert runs == [i for i, token in enumerate(ids) if token == IMAGE] and len(runs) >= 4, record
    begin, end = record["token_spans"]["question"]
    assert tokenizer.decode(ids[begin:end]).strip() == QUESTION, record


def compare(program, name, folder):
    """The largest difference of the model's cells, and their largest effect."""
    model_folder, data = folder / name, folder / f"{name}-prompts"
    model, processor = open_saved(name, model_folder)
    export_embeddings(model, prompts(name, processor), data, tokenizer=processor.tokenizer)
    lines, matrices = tiny.read_exported(data)
    assert all(torch.isfinite(m).all() and m.dtype == torch.float32 for m in matrices.values())
    with tiny.sweep(program, folder, model_folder, data, routes=["last<-image", "question<-image", "mlp@question"], sizes=[2]) as cube:
        for p, (record, inputs) in enumerate(prompts(name, processor)):
            check_spans(lines[record["id"]], inputs, processor.tokenizer)
            with torch.no_grad():
                whole = torch.log_softmax(model(**inputs).logits[0, -1].double(), dim=-1)
            assert cube["prompt"].asstr()[p] == record["id"]
            difference = abs(float(whole[cube["target_id"][0, p]]) - cube["clean_logprob"][0, p])
            assert difference <= tiny.BOUND, (name, record["id"], difference)
        return tiny.compare_cells(cube, model.double(), lines, matrices)


def main():
    tiny.VOCABULARY, tiny.IMAGE, tiny.START = ALL, IMAGE, START
    tiny.IDS.update(image_token_id=IMAGE, vision_start_token_id=START, vision_end_token_id=END, video_token_id=VIDEO)
    if not HAS_TORCHVISION:
        print("without torchvision: Qwen2.5-VL's processor without its part for videos, not opened by AutoProcessor")
    with tempfile.TemporaryDirectory() as scratch:
        for name in PROCESSORS:
            worst, largest = compare(sys.argv[1], name, Path(scratch))
            print(f"{name}: the largest difference is {worst:.1e}, the largest effect {largest:.2f}")
            assert largest > 0.1, "the cells hardly differ from the clean run"


main()
