"""Write rows of MIB's tasks (Mueller et al. 2025; mib-bench on the hub) as JSON Lines, which knockout reads as a prompt file.

Usage: mib_to_jsonl.py FILE ... [-o OUT.jsonl] [--counterfactual COLUMN] [--subject OUTER.INNER]

FILE is Parquet (needs pyarrow) or JSON Lines with the columns of the hub. What a row becomes depends on its columns:
  choices {label, text}, answerKey   multiple choice (copycolors_mcqa, arc_easy, arc_challenge): `options` are the labels, `target` is
                                     that of answerKey, `subject` is the text of the right choice, and each choice's text is a span
                                     named option1, option2, ...
  choices [right, wrong], answerKey  two answers (ioi): `target` and `foil`; `subject` is the wrong one, which the prompt has twice
  label                              one answer (arithmetic): `target`, and the label of the row's COUNTERFACTUAL as `foil` where it has
                                     another; `subject` is the first number of the prompt
  entity, attribute                  one attribute of a city (ravel): `targets` are what the column named by `attribute` has, where commas
                                     part several right answers; `subject` is the entity, and the span `entity` is where it stands last.
                                     Rows without a value of the attribute are left out and counted
answerKey is the number of the right choice from 0. --subject takes the subject from a column of the row instead. A row whose subject is
not in its prompt is an error that names it. White space at the end of a prompt is dropped: knockout puts one space before an answer.
"""
import argparse
import json
import re
import sys
from pathlib import Path


def rows_of(path):
    """The rows of a file as dictionaries."""
    if Path(path).suffix == ".parquet":
        try:
            import pyarrow.parquet as parquet
        except ImportError:
            sys.exit("mib_to_jsonl.py: needs pyarrow: pip install pyarrow")
        for batch in parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    else:
        with open(path, encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.strip())


def column(row, name):
    """The value of a column, or of OUTER.INNER; None where it is missing."""
    for part in name.split("."):
        row = row.get(part) if isinstance(row, dict) else None
    return row


def key_of(row, n):
    """The number of the right choice."""
    key = row.get("answerKey")
    if not isinstance(key, int) or not 0 <= key < n:
        raise ValueError(f"answerKey is {key!r}, expected a number from 0 to {n - 1}")
    return key


def multiple_choice(row, prompt):
    labels, texts = list(map(str, row["choices"]["label"])), list(map(str, row["choices"]["text"]))
    if len(labels) != len(texts):
        raise ValueError(f"{len(labels)} labels for {len(texts)} texts of choices")
    right = key_of(row, len(labels))
    fact = {"subject": texts[right].strip(), "target": labels[right], "options": labels, "spans": {}}
    begin = 0
    for n, (label, text) in enumerate(zip(labels, texts), 1):
        # The choices stand in their order, each behind its label; a text may also stand in the question.
        at = re.compile(rf"{re.escape(label)}\W+{re.escape(text.strip())}").search(prompt, begin)
        if at:
            fact["spans"][f"option{n}"] = [at.end() - len(text.strip()), at.end()]
            begin = at.end()
    if not fact["spans"]:
        del fact["spans"]
    return fact


def two_answers(row, prompt):
    choices = list(map(str, row["choices"]))
    right = key_of(row, len(choices))
    if len(choices) != 2:
        return {"subject": choices[right], "target": choices[right], "options": choices}
    return {"subject": choices[1 - right], "target": choices[right], "foil": choices[1 - right]}


def one_answer(row, prompt, counterfactual):
    number = re.search(r"\d+", prompt)
    fact = {"subject": number.group() if number else "", "target": str(row["label"])}
    foil = column(row, f"{counterfactual}.label")
    return {**fact, "foil": str(foil)} if foil is not None and str(foil) != fact["target"] else fact


def attribute_of(row, prompt):
    """None where the row has no value of the attribute."""
    entity, attribute = str(row["entity"]).strip(), str(row["attribute"])
    if attribute not in row:
        raise ValueError(f"no column {attribute}, which `attribute` names; there are {', '.join(map(str, row))}")
    values = [value.strip() for value in str(row[attribute] or "").split(",") if value.strip()]
    at = prompt.rfind(entity)
    fact = {"subject": entity, "targets": values, "relation": attribute}
    if at >= 0:
        fact["spans"] = {"entity": [at, at + len(entity)]}
    return fact if values else None


def convert(row, number, counterfactual="random_counterfactual", subject=None):
    """A record of a prompt file; None where the row has no answer. ValueError says what is wrong with the row."""
    prompt = row.get("prompt")
    if not isinstance(prompt, str):
        raise ValueError(f"no column prompt; there are {', '.join(map(str, row))}")
    prompt = prompt.rstrip()
    if isinstance(row.get("choices"), dict):
        fact = multiple_choice(row, prompt)
    elif isinstance(row.get("choices"), list):
        fact = two_answers(row, prompt)
    elif row.get("entity") is not None and row.get("attribute") is not None:
        fact = attribute_of(row, prompt)
        if fact is None:
            return None
    elif row.get("label") is not None:
        fact = one_answer(row, prompt, counterfactual)
    else:
        raise ValueError(f"neither choices nor label nor entity and attribute; there are {', '.join(map(str, row))}")
    if subject:
        fact["subject"] = str(column(row, subject))
    if not fact["subject"] or fact["subject"] not in prompt:
        raise ValueError(f"the subject {fact['subject']!r} is not in the prompt, name its column with --subject")
    return {"id": str(number), "prompt": prompt, **fact}


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("files", nargs="+", metavar="FILE")
    ap.add_argument("-o", "--output", default="-")
    ap.add_argument("--counterfactual", default="random_counterfactual", metavar="COLUMN")
    ap.add_argument("--subject", metavar="OUTER.INNER")
    a = ap.parse_args()
    facts, n_left_out = [], 0
    for file in a.files:
        for n, row in enumerate(rows_of(file)):
            try:
                fact = convert(row, len(facts), a.counterfactual, a.subject)
            except ValueError as why:
                sys.exit(f"mib_to_jsonl.py: {file}: row {n}: {why}")
            if fact:
                facts.append(fact)
            n_left_out += not fact
    if n_left_out:
        print(f"mib_to_jsonl.py: rows without a value of their attribute, which are left out: {n_left_out}", file=sys.stderr)
    out = sys.stdout if a.output == "-" else open(a.output, "w", encoding="utf-8")
    for fact in facts:
        out.write(json.dumps(fact, ensure_ascii=False) + "\n")
    if out is not sys.stdout:
        out.close()


if __name__ == "__main__":
    main()
