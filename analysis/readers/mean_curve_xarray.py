"""Mean change of the answer's probability, in percent, a line a window: mean_curve_xarray.py CUBE [ENGINE]

ENGINE is netcdf4 or h5netcdf; without it xarray chooses.
"""
import sys

import numpy as np
import xarray as xr

engine = sys.argv[2] if len(sys.argv) > 2 else None
with xr.open_dataset(sys.argv[1], engine=engine) as cube:
    done = cube.status.load() == 2  # first: a run may be writing the cube, and flags what is written
    delta = cube.logprob.astype(float) - cube.clean_logprob.astype(float)  # aligned by model and prompt
    change = (100 * np.expm1(delta)).where(done)
    columns = ["model", "route", "feature_class", "window_size", "window_start"]
    curve = xr.Dataset({"value": change.mean("prompt"), "n": change.count("prompt")})
    table = curve.to_dataframe(dim_order=columns).reset_index()
table = table[table.n > 0][columns + ["value", "n"]]
table.to_csv(sys.stdout, index=False, float_format="%.9g")
