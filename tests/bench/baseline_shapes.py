"""The shapes that `knockout bench --shape` knows, read from the macros of src/bench/shapes.c, and what a configuration means.

`published()` gives {name: configuration}; `Shape.of(configuration)` reads one, in the layout of Hugging Face or of the original
Mamba releases, with the defaults that the program documents for absent keys.
"""
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "bench" / "shapes.c"
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|(?:#\s*)?[A-Za-z_]\w*|[(),]|[^\s"(),#]+')


def macros(text):
    """{name: (parameters, body)} of every #define."""
    found = {}
    for name, parameters, body in re.findall(r"^#define (\w+)(?:\(([^)]*)\))?[ \t]+(.*)$", text.replace("\\\n", " "), re.M):
        found.setdefault(name, ([p.strip() for p in parameters.split(",")] if parameters else [], body))
    return found


def arguments(tokens):
    """The arguments of a macro, as lists of tokens, from an iterator that stands after its name."""
    if next(tokens) != "(":
        raise ValueError(f"{SOURCE}: a macro's name is not followed by its arguments")
    out, depth = [[]], 1
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if depth == 0:
            return out
        if token == "," and depth == 1:
            out.append([])
        else:
            out[-1].append(token)
    raise ValueError(f"{SOURCE}: a macro's arguments do not end")


def string(tokens, given, table):
    """What the preprocessor and the compiler make of string literals, #parameters, parameters and macros: one string."""
    out, tokens = "", iter(tokens)
    for token in tokens:
        name = token.lstrip("# ")
        if token.startswith('"'):
            out += json.loads(token)
        elif token.startswith("#"):
            out += " ".join(given[name])
        elif name in given:
            out += string(given[name], {}, table)
        else:
            parameters, body = table[name]
            values = arguments(tokens) if parameters else []
            out += string(TOKEN.findall(body), dict(zip(parameters, values)), table)
    return out


def published():
    table = macros(SOURCE.read_text())
    tokens, out = iter(TOKEN.findall(table["SHAPES"][1])), {}
    for token in tokens:
        if token != "X":
            raise ValueError(f"{SOURCE}: SHAPES: {token!r} is no row")
        name, config = arguments(tokens)
        out[string(name, {}, table)] = json.loads(string(config, {}, table))
    return out


@dataclass
class Shape:
    """family: mamba (with inner_eps, Falcon-Mamba), mamba2, gpt2, llama (Mistral too) or falcon_h1, a llama beside its `ssm`.  Fields
    of other families stay at 0."""
    family: str
    d: int
    layers: int
    vocab: int
    tied: bool
    eps: float = 1e-5
    inner: int = 0          # channels of an SSM
    state: int = 0
    taps: int = 4
    rank: int = 0           # of Mamba-1's time step
    inner_eps: float = 0    # Falcon-Mamba's norms of dt, B and C; 0: none
    heads: int = 0
    head_dim: int = 0
    groups: int = 0         # Mamba-2's B and C; key and value heads of Llama
    step_limit: tuple = (0.0, float("inf"))
    ff: int = 0
    positions: int = 0
    theta: float = 10000.0
    scaling: dict = field(default_factory=dict)
    window: int = 0         # sliding window; 0: none
    ssm: "Shape | None" = None      # the mamba2 beside the attention of a hybrid's layers
    factors: dict = field(default_factory=dict)     # of Falcon-H1, by the part that they multiply; absent: 1

    @property
    def classes(self):
        """The mixers that a cell may cut."""
        return ("all", "attention", "ssm") if self.ssm else ("all",)

    @staticmethod
    def of(c):
        kind, read = kind_of(c), readers()
        if kind not in read:
            raise ValueError(f"model_type {kind}: no baseline; there are {', '.join(read)}")
        return read[kind](kind, c)


def readers():
    return {"mamba": mamba, "falcon_mamba": mamba, "mamba2": mamba2, "gpt2": gpt2, "llama": llama, "mistral": llama,
            "falcon_h1": falcon_h1}


def kind_of(c):
    return c.get("model_type") or ("mamba2" if c["ssm_cfg"].get("layer") == "Mamba2" else "mamba")


def with_baseline():
    """The published shapes of families that have a baseline."""
    return {name: c for name, c in published().items() if kind_of(c) in readers()}


def mamba(kind, c):
    d = c["hidden_size"]
    rank = c.get("time_step_rank", "auto")
    return Shape("mamba", d, c["num_hidden_layers"], c["vocab_size"], c.get("tie_word_embeddings", True),
                 eps=c.get("layer_norm_epsilon", 1e-5), inner=c.get("intermediate_size") or c.get("expand", 2) * d,
                 state=c.get("state_size", 16), taps=c.get("conv_kernel", 4), rank=-(-d // 16) if rank == "auto" else rank,
                 inner_eps=c.get("mixer_rms_eps", 1e-6) if kind == "falcon_mamba" else 0)


def mamba2(kind, c):
    if "d_model" in c:
        d, multiple = c["d_model"], c.get("pad_vocab_size_multiple", 8)
        return Shape("mamba2", d, c["n_layer"], -(-c["vocab_size"] // multiple) * multiple, c.get("tie_embeddings", True),
                     inner=2 * d, state=128, heads=2 * d // 64, head_dim=64, groups=1)
    return Shape("mamba2", c["hidden_size"], c["num_hidden_layers"], c["vocab_size"], c.get("tie_word_embeddings", False),
                 eps=c.get("layer_norm_epsilon", 1e-5), inner=c["num_heads"] * c["head_dim"], state=c["state_size"],
                 taps=c.get("conv_kernel", 4), heads=c["num_heads"], head_dim=c["head_dim"], groups=c["n_groups"],
                 step_limit=tuple(c.get("time_step_limit", (0.0, float("inf")))))


def gpt2(kind, c):
    d, heads = c["n_embd"], c["n_head"]
    return Shape("gpt2", d, c["n_layer"], c["vocab_size"], c.get("tie_word_embeddings", True), eps=c.get("layer_norm_epsilon", 1e-5),
                 heads=heads, head_dim=d // heads, groups=heads, ff=c.get("n_inner") or 4 * d, positions=c["n_positions"])


def llama(kind, c):
    d, heads = c["hidden_size"], c["num_attention_heads"]
    return Shape("llama", d, c["num_hidden_layers"], c["vocab_size"], c.get("tie_word_embeddings", False), eps=c["rms_norm_eps"],
                 heads=heads, head_dim=c.get("head_dim") or d // heads, groups=c.get("num_key_value_heads", heads),
                 ff=c["intermediate_size"], theta=c["rope_theta"], scaling=c.get("rope_scaling") or {},
                 window=(c.get("sliding_window") or 0) if kind == "mistral" else 0)


def falcon_h1(kind, c):
    if c.get("mamba_rms_norm", False):
        raise ValueError("mamba_rms_norm: the baseline has the gate alone")
    inner, heads = c["mamba_d_ssm"] or c["mamba_expand"] * c["hidden_size"], c["mamba_n_heads"]
    s = llama(kind, {"rms_norm_eps": 1e-5} | c)
    s.family = "falcon_h1"
    s.ssm = Shape("mamba2", s.d, s.layers, s.vocab, s.tied, eps=s.eps, inner=inner, state=c["mamba_d_state"],
                  taps=c.get("mamba_d_conv", 4), heads=heads, head_dim=inner // heads, groups=c.get("mamba_n_groups", 1),
                  step_limit=tuple(c.get("time_step_limit", (0.0, float("inf")))))
    one = lambda name: c.get(f"{name}_multiplier", 1.0)
    s.factors = dict(embedding=one("embedding"), logits=one("lm_head"), attention_in=one("attention_in"), key=one("key"),
                     attention_out=one("attention_out"), ssm_in=one("ssm_in"), ssm_out=one("ssm_out"),
                     ssm_parts=c.get("ssm_multipliers") or [1.0] * 5, mlp=c.get("mlp_multipliers") or [1.0] * 2)
    return s
