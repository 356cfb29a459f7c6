"""Makes pandas' frames, series and indexes, and stands still."""
import json
import os

import numpy
import pandas


def stand():
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": [1.5, 2.5, 3.5]})
    empty = pandas.DataFrame()
    mixed = pandas.DataFrame({"n": [1], "s": ["x"], "when": [pandas.Timestamp("2024-02-29")]})
    tall = pandas.DataFrame(numpy.zeros((100000, 4)), columns=list("wxyz"))
    part = tall.iloc[10:20, :2]
    numbered = pandas.DataFrame(numpy.zeros((2, 3)))
    indexed = frame.set_index("a")
    dates = pandas.DataFrame({"v": range(5)}, index=pandas.date_range("2024-01-01", periods=5))
    series = frame["a"]
    names = pandas.Index(["x", "y"])
    numbers = pandas.RangeIndex(7)
    days = dates.index
    shapes = {name: list(value.shape) for name, value in locals().items()}
    print("READY " + json.dumps({"pid": os.getpid(), "shapes": shapes}), flush=True)
    input()


stand()
