"""Mean change of the answer's probability out of what `ncdump` or `h5dump` prints: dumps.py ncdump|h5dump CUBE

Looks, besides, at what ncdump says of the file: netCDF-4, no axis without a name, a long name on every variable.
"""
import csv
import re
import subprocess
import sys

import numpy as np

AXES = ["model", "prompt", "route", "feature_class", "window_size", "window_start"]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def check_header(header, kind):
    assert kind.strip() == "netCDF-4", kind
    assert "phony_dim" not in header, "an axis has no name"
    dimensions = dict(re.findall(r"^\t(\w+) = (\d+) ;", header, re.M))
    variables = re.findall(r"^\t(?:float|double|int|ubyte|char|string) (\w+)\(([^)]*)\) ;", header, re.M)
    assert len(variables) > 50, len(variables)
    for name, axes in variables:
        assert f"\t\t{name}:long_name = " in header or f"\t\tstring {name}:long_name = " in header, f"{name} has no long name"
        assert all(axis in dimensions for axis in axes.split(", ")), name
    shapes = dict(variables)
    assert shapes["logprob"] == ", ".join(AXES), shapes["logprob"]
    assert 'logprob:units = "nats"' in header
    return {name: int(n) for name, n in dimensions.items()}


def of_ncdump(path):
    shape = check_header(run("ncdump", "-h", path), run("ncdump", "-k", path))
    names = ["logprob", "clean_logprob", "status", "model", "route", "feature_class", "window_size", "window_start"]
    text = run("ncdump", "-p", "9,17", "-v", ",".join(names), path).split("\ndata:\n", 1)[1]
    found = {}
    for name in names:
        body = re.search(rf"^ {name} =\s(.*?) ;$", text, re.M | re.S).group(1)
        if "string" in name or body.lstrip().startswith('"'):
            found[name] = [word.replace('\\"', '"') for word in re.findall(r'"((?:[^"\\]|\\.)*)"', body)]
        else:
            found[name] = np.array([float("nan") if x.strip() in ("_", "NaN") else float(x.strip().rstrip("fUB")) for x in body.split(",")])
    return found, shape


def of_h5dump(path):
    found, shape = {}, {}
    for name in ["logprob", "clean_logprob", "status"] + AXES:
        text = run("h5dump", "-y", "-w", "65535", "-m", "%.9g", "-d", "/" + name, path)
        extent = re.search(r"DATASPACE\s+SIMPLE \{ \( ([\d, ]+) \)", text).group(1)
        body = text.split("DATA {\n", 1)[1].split("\n   }", 1)[0]
        if "H5T_STRING" in text.split("DATASPACE")[0]:
            found[name] = re.findall(r'"((?:[^"\\]|\\.)*)"', body)
        else:
            found[name] = np.array([float(x) for x in body.replace("\n", "").split(",")])
        if name in AXES:
            shape[name] = int(extent)
    return found, shape


def main():
    found, shape = {"ncdump": of_ncdump, "h5dump": of_h5dump}[sys.argv[1]](sys.argv[2])
    for name in ("logprob", "clean_logprob"):
        found[name] = found[name].astype(np.float32).astype(float)  # nine digits give the float32 back
    logprob = found["logprob"].reshape([shape[axis] for axis in AXES])
    logprob[found["status"].reshape(logprob.shape[:-1]) != 2] = np.nan
    clean = found["clean_logprob"].reshape([shape["model"], shape["prompt"], 1, 1, 1, 1])
    change = 100 * np.expm1(logprob - clean)
    n = np.isfinite(change).sum(axis=1)
    columns = [axis for axis in AXES if axis != "prompt"]
    table = csv.writer(sys.stdout)
    table.writerow(columns + ["value", "n"])
    for at in np.argwhere(n > 0):
        value = np.nanmean(change[at[0], :, at[1], at[2], at[3], at[4]])
        labels = [found[axis][i] for axis, i in zip(columns, at)]
        table.writerow([x if isinstance(x, str) else int(x) for x in labels] + [f"{value:.9g}", n[tuple(at)]])


main()
