"""Compares a reader's mean curves with what `knockout show --csv` prints: compare.py SHOW.csv READER.csv"""
import csv
import sys

RELATIVE, ABSOLUTE = 2e-8, 1e-9  # of values in percent: two units of the ninth and last digit that is printed; seen: 0


def read(path):
    with open(path, newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if int(row["n"]) > 0]
    table = {tuple(row[name] for name in ("model", "route", "feature_class", "window_size", "window_start")): row for row in rows}
    assert len(table) == len(rows), f"{path} has a window twice"
    return table


show, reader = read(sys.argv[1]), read(sys.argv[2])
assert show and show.keys() == reader.keys(), f"different windows: {sorted(show.keys() ^ reader.keys())[:3]}"
worst = 0.0
for key, row in show.items():
    a, b = float(row["value"]), float(reader[key]["value"])
    difference = abs(a - b)
    assert difference <= RELATIVE * abs(a) + ABSOLUTE, (key, a, b)  # NaN fails
    assert int(row["n"]) == int(reader[key]["n"]), (key, row["n"], reader[key]["n"])
    worst = max(worst, difference)
print(f"{len(show)} windows agree, largest difference {worst:.1e}")
