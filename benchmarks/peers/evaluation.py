"""Times Python peers of nodule's evaluation. Reads {"threads", "seconds", "cases": {name: {...}}} from standard input
and prints {name: {peer: milliseconds}}. A peer that is not installed is left out."""

import contextlib
import io
import json
import statistics
import sys
import time


def median_ms(work, seconds, least=1):
    times = []
    start = time.perf_counter()
    while len(times) < least or (time.perf_counter() - start < seconds and len(times) < 50):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3


def bootstrap(case, seconds):
    """One sample at a time: gather the drawn scans' candidates, ROC curve, interpolate at 10,000 rates."""
    import numpy as np
    from sklearn.metrics import roc_curve

    scan = np.fromfile(case["scan"], dtype=np.int32)
    nodule = np.fromfile(case["nodule"], dtype=np.uint8).astype(float)
    found = np.fromfile(case["found"], dtype=np.uint8).astype(bool)
    score = np.fromfile(case["score"], dtype=np.float64)
    members = {s: np.flatnonzero(scan == s) for s in range(case["scans"])}
    grid = np.linspace(1 / 8, 8, 10000)
    random = np.random.default_rng(0)

    def sample():
        drawn = random.integers(case["scans"], size=case["scans"])
        at = np.concatenate([members[s] for s in drawn])
        kept = at[found[at]]
        fpr, tpr, _ = roc_curve(nodule[kept], score[kept])
        positive = nodule[kept].sum()
        false = fpr * (len(kept) - positive) / case["scans"]
        return np.interp(grid, false, tpr * positive / nodule[at].sum())

    return {"NumPy and scikit-learn, sample by sample": median_ms(sample, seconds, 5) * case["samples"]}


def coco(case, seconds):
    import numpy as np
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    boxes = np.fromfile(case["boxes"], dtype=np.float64).reshape(-1, 7)
    shape = lambda b: dict(image_id=int(b[0]) + 1, category_id=1, bbox=[b[2], b[3], b[4] - b[2], b[5] - b[3]])
    truth = [
        dict(shape(b), id=i + 1, area=(b[4] - b[2]) * (b[5] - b[3]), iscrowd=0)
        for i, b in enumerate(boxes[boxes[:, 1] == 0])
    ]
    found = [dict(shape(b), score=b[6]) for b in boxes[boxes[:, 1] == 1]]
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        images = [dict(id=i + 1) for i in range(case["images"])]
        reference.dataset = dict(images=images, annotations=truth, categories=[dict(id=1)])
        reference.createIndex()
        detections = reference.loadRes(found)

        def work():
            evaluation = COCOeval(reference, detections, "bbox")
            evaluation.params.iouThrs = np.round(np.linspace(0.1, 0.95, 18), 2)
            evaluation.params.areaRng = [[0, 1e10]]
            evaluation.params.areaRngLbl = ["all"]
            evaluation.params.maxDets = [100]
            evaluation.evaluate()
            evaluation.accumulate()

        return {"pycocotools": median_ms(work, seconds)}


def auc(case, seconds):
    import numpy as np
    from sklearn import metrics
    from sklearn.calibration import calibration_curve

    labels = np.fromfile(case["labels"], dtype=np.uint8)
    scores = np.fromfile(case["scores"], dtype=np.float64)

    def work():
        metrics.roc_curve(labels, scores, drop_intermediate=False)
        metrics.roc_auc_score(labels, scores)
        metrics.precision_recall_curve(labels, scores)
        metrics.average_precision_score(labels, scores)
        metrics.brier_score_loss(labels, scores)
        calibration_curve(labels, scores, n_bins=10)

    return {"scikit-learn without interval": median_ms(work, seconds, 3)}


def main():
    request = json.load(sys.stdin)
    result = {}
    for name, case in request["cases"].items():
        try:
            result[name] = {"bootstrap": bootstrap, "coco": coco, "auc": auc}[name](case, request["seconds"])
        except ImportError:
            result[name] = {}
    json.dump(result, sys.stdout)


main()
