"""Write the rows of Parquet files as JSON Lines, which knockout reads as a prompt file.

Usage: parquet_to_jsonl.py FILE.parquet ... [-o OUT.jsonl] [--rename OLD=NEW,...] [--where COLUMN=VALUE]

A row becomes one object. --rename gives columns the names that knockout reads (prompt, subject, target, ...); a column inside another
one is called OUTER.INNER. --where keeps the rows whose column has this text. Needs pyarrow.
"""
import argparse
import json
import sys


def column(row, name):
    """The value of a column, or of OUTER.INNER, which may be JSON text."""
    for part in name.split("."):
        row = json.loads(row) if isinstance(row, str) else row
        row = row.get(part) if isinstance(row, dict) else None
    return row


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("files", nargs="+", metavar="FILE.parquet")
    ap.add_argument("-o", "--output", default="-")
    ap.add_argument("--rename", default="", help="OLD=NEW,...")
    ap.add_argument("--where", default="", metavar="COLUMN=VALUE")
    a = ap.parse_args()
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        sys.exit("parquet_to_jsonl.py: needs pyarrow: pip install pyarrow")
    renames = [pair.split("=", 1) for pair in a.rename.split(",") if pair]
    if any(len(pair) != 2 for pair in renames) or ("=" not in a.where and a.where):
        sys.exit("parquet_to_jsonl.py: expected --rename OLD=NEW,... and --where COLUMN=VALUE")
    key, _, wanted = a.where.partition("=")
    out = sys.stdout if a.output == "-" else open(a.output, "w", encoding="utf-8")
    for file in a.files:
        for batch in parquet.ParquetFile(file).iter_batches():
            for row in batch.to_pylist():
                if a.where and str(column(row, key)) != wanted:
                    continue
                for old, new in renames:
                    value = column(row, old)
                    if value is None:
                        sys.exit(f"parquet_to_jsonl.py: {file}: no column {old}; there are {', '.join(map(str, row))}")
                    row[new] = value
                    row.pop(old, None)
                out.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
    if out is not sys.stdout:
        out.close()


if __name__ == "__main__":
    main()
