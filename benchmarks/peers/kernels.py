"""Times Python peers of nodule's kernels. Reads {"threads", "seconds", "cases": {name: {...}}} from standard input and
prints {name: {peer: milliseconds}} (medians). A peer that is not installed is left out."""

import json
import statistics
import sys
import time


def median_ms(work, seconds, repeat=1):
    work()
    times = []
    start = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - start < seconds and len(times) < 500):
        begin = time.perf_counter()
        for _ in range(repeat):
            work()
        times.append((time.perf_counter() - begin) / repeat)
    return statistics.median(times) * 1e3


def assignment(case, seconds):
    """One problem; its matrix lies in a file as float64."""
    import numpy as np

    cost = np.fromfile(case["file"], dtype=np.float64).reshape(case["rows"], case["columns"])
    return solve_by_all(lambda solve: solve(cost), seconds, 1 if cost.size > 1000 else 200)


def cells(case, seconds):
    """Many small problems, one call each: the peers have no batches. The cost is computed by numpy, all at once."""
    import numpy as np

    n, p, t = case["cells"], case["p"], case["t"]
    predictions = np.fromfile(case["predictions"], dtype=np.float32).reshape(n, p, 1, 4).astype(np.float64)
    truths = np.fromfile(case["truths"], dtype=np.float32).reshape(n, 1, t, 4).astype(np.float64)

    def costs():
        a0, a1 = predictions[..., :2] - predictions[..., 2:] / 2, predictions[..., :2] + predictions[..., 2:] / 2
        b0, b1 = truths[..., :2] - truths[..., 2:] / 2, truths[..., :2] + truths[..., 2:] / 2
        shared = np.clip(np.minimum(a1, b1) - np.maximum(a0, b0), 0, None).prod(-1)
        union = predictions[..., 2:].prod(-1) + truths[..., 2:].prod(-1) - shared
        delta = np.abs(predictions - truths).sum(-1)
        return np.arange(p)[None, :, None] + delta / 2000 + 100.0 * (shared / union < case["minIou"])

    matrices = costs()

    def each(solve):
        for matrix in matrices:
            solve(matrix)

    def whole(solve):
        for matrix in costs():
            solve(matrix)

    result = solve_by_all(each, seconds, 1)
    try:
        from lap import lapjvx_batch

        result["lapx, batch"] = median_ms(lambda: lapjvx_batch(matrices, n_threads=case["threads"]), seconds)
    except ImportError:
        pass
    result.update({f"{peer}, cost by numpy": ms for peer, ms in solve_by_all(whole, seconds, 1).items()})
    return result


def solve_by_all(run, seconds, repeat):
    result = {}
    try:
        from scipy.optimize import linear_sum_assignment

        result["scipy"] = median_ms(lambda: run(linear_sum_assignment), seconds, repeat)
    except ImportError:
        pass
    try:
        from lap import lapjv

        result["lapx"] = median_ms(lambda: run(lapjv), seconds, repeat)
    except ImportError:
        pass
    return result


def frames(case, seconds):
    """slices -> uint8 frames of three neighbors: numpy for HU and window, OpenCV for crop and resize."""
    import numpy as np

    try:
        import cv2
    except ImportError:
        return {}
    cv2.setNumThreads(case["threads"])
    volume = np.fromfile(case["file"], dtype=np.int16).reshape(case["slices"], case["rows"], case["columns"])
    x, y = case["origin"]
    width, height, scale = case["width"], case["height"], case["scale"]
    low, high = case["window"]
    # frame = (image - origin) * scale in edge coordinates; OpenCV counts pixel centers.
    matrix = np.array([[scale, 0, (0.5 - x) * scale - 0.5], [0, scale, (0.5 - y) * scale - 0.5]])
    out = np.empty((len(volume), 3, height, width), np.uint8)
    crop = (slice(int(y), int(y + height / scale) + 1), slice(int(x), int(x + width / scale) + 1))

    def render(interpolation):
        planes = np.empty((len(volume), height, width), np.uint8)
        for k, stored in enumerate(volume):
            if interpolation == "warp":
                hu = stored.astype(np.float32) - 1024
                hu[(stored >= case["padding"][0]) & (stored <= case["padding"][1])] = -1000
                plane = cv2.warpAffine(hu, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=-1000)
            else:
                part = stored[crop]
                hu = part.astype(np.float32) - 1024
                hu[(part >= case["padding"][0]) & (part <= case["padding"][1])] = -1000
                plane = cv2.resize(hu, (width, height), interpolation=cv2.INTER_AREA)
            plane -= low
            plane *= 255 / (high - low)
            np.clip(plane, 0, 255, out=plane)
            plane += 0.5
            planes[k] = plane
        last = len(volume) - 1
        for k in range(len(volume)):
            out[k, 0], out[k, 1], out[k, 2] = planes[max(k - 1, 0)], planes[k], planes[min(k + 1, last)]

    return {
        "numpy + OpenCV, crop, area": median_ms(lambda: render("area"), seconds),
        "numpy + OpenCV, warp, not antialiased": median_ms(lambda: render("warp"), seconds),
    }


def roi_align(case, seconds):
    """torchvision's roi_align, forward and gradient for the features (it has none for the boxes)."""
    try:
        import torch
        from torchvision.ops import roi_align as align
    except (ImportError, RuntimeError) as error:  # RuntimeError: builds of torch and torchvision that do not fit
        print(f"torchvision: {error}", file=sys.stderr)
        return {}
    torch.set_num_threads(case["threads"])
    torch.manual_seed(1)
    n, h, w, c = case["shape"]
    features = torch.randn(n, c, h, w, requires_grad=True)
    center = torch.rand(case["boxes"], 2) * torch.tensor([w, h]) * case["stride"]
    size = 4 + 40 * torch.rand(case["boxes"], 2)
    boxes = torch.cat([torch.zeros(case["boxes"], 1), center - size / 2, center + size / 2], 1)
    rows, columns = case["bins"]

    def work():
        features.grad = None
        out = align(features, boxes, (rows, columns), 1 / case["stride"], case["samplingRatio"], True)
        out.sum().backward()

    return {"torchvision roi_align": median_ms(work, seconds)}


def masks(case, seconds):
    """A binary mask on a grid: closing by a ball (two ways) and 6-connected parts."""
    import numpy as np
    from scipy import ndimage

    mask = np.fromfile(case["file"], dtype=np.uint8).reshape(case["shape"]) == 1
    radius, spacing = case["radius"], np.asarray(case["spacing"])
    steps = [np.arange(-np.floor(radius / s), np.floor(radius / s) + 1) * s for s in spacing]
    ball = sum(offset**2 for offset in np.meshgrid(*steps, indexing="ij")) <= radius**2

    def by_distance():
        near = ndimage.distance_transform_edt(~mask, sampling=spacing) <= radius
        return ndimage.distance_transform_edt(near, sampling=spacing) > radius

    return {
        "scipy binary_closing": median_ms(lambda: ndimage.binary_closing(mask, ball), seconds),
        "scipy distance_transform_edt": median_ms(by_distance, seconds),
        "scipy label": median_ms(lambda: ndimage.label(mask), seconds),
    }


def main():
    request = json.load(sys.stdin)
    kinds = {"assignment": assignment, "cells": cells, "frames": frames, "roi_align": roi_align, "masks": masks}
    answer = {}
    for name, case in request["cases"].items():
        case["threads"] = request["threads"]
        try:
            answer[name] = kinds[case["kind"]](case, request["seconds"])
        except ImportError:
            answer[name] = {}
    json.dump(answer, sys.stdout)


main()
