"""PyTorch's training step of the same network and loss as src/model and src/loss, as a peer of the train-step benchmark.

Reads one line of JSON (see benchmarks/train_step.ts), then one command a line: `loss` prints the loss of a pass without
dropout, `step` does a whole training step and prints its milliseconds. Prints one line of JSON for each.
"""

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment


def same(length, size, stride):
    total = max(0, (-(-length // stride) - 1) * stride + size - length)
    return total // 2, total - total // 2


class Network(torch.nn.Module):
    def __init__(self, request):
        super().__init__()
        self.h, self.graph = request["hypes"], request["graph"]
        self.channels = request["channels"]
        self.stride = request["stride"]
        flat = np.fromfile(request["weights"], dtype=np.float32)
        self.names, offset = {}, 0
        for item in request["index"]:
            shape, size = item["shape"], int(np.prod(item["shape"]))
            tensor = torch.from_numpy(flat[offset : offset + size].reshape(shape).copy())
            offset += size
            if item["name"].endswith("/weights"):
                tensor = tensor.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
            name = item["name"].replace("/", "_").replace(".", "_")
            self.names[item["name"]] = name
            if item["trainable"]:
                self.register_parameter(name, torch.nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)
        g, w, size = self.h["grid_height"] * self.h["grid_width"], self.h["grid_width"], self.h["region_size"]
        cells = torch.arange(g)
        centers = torch.zeros(g, 1, 4)
        centers[:, 0, 0] = (cells % w + 0.5) * size
        centers[:, 0, 1] = (cells // w + 0.5) * size
        self.register_buffer("centers", centers)
        ys, xs = self.h["rezoom_h_coords"], self.h["rezoom_w_coords"]
        self.register_buffer("offsets", torch.tensor([[x, y] for y in ys for x in xs], dtype=torch.float32))

    def w(self, name):
        return getattr(self, self.names[name])

    def backbone(self, x):
        outputs = {"frames": x}
        for node in self.graph["nodes"]:
            op = node["op"]
            if op == "concat":
                y = torch.cat([outputs[i] for i in node["inputs"]], 1)
            elif op == "add":
                y = outputs[node["inputs"][0]] + outputs[node["inputs"][1]]
                y = F.relu(y) if node["activation"] == "relu" else y
            else:
                y = outputs[node["input"]]
                kh, kw = node["kernel"] if op == "conv" else (node["size"], node["size"])
                if node.get("padding") == "centered":
                    top, bottom, left, right = (kh - 1) // 2, kh // 2, (kw - 1) // 2, kw // 2
                else:
                    top, bottom = same(y.shape[2], kh, node["stride"])
                    left, right = same(y.shape[3], kw, node["stride"])
                inside = (top, left) if top == bottom and left == right else 0
                if inside == 0:
                    y = F.pad(y, (left, right, top, bottom), value=float("-inf") if op == "maxPool" else 0.0)
                if op == "maxPool":
                    y = F.max_pool2d(y, (kh, kw), node["stride"], inside)
                elif op == "avgPool":
                    y = F.avg_pool2d(y, (kh, kw), node["stride"], inside, count_include_pad=False)
                else:
                    name = node["name"]
                    y = F.conv2d(y, self.w(f"{name}/weights"), None, node["stride"], inside)
                    if node["batchNorm"]:
                        b = f"{name}/BatchNorm/"
                        mean, variance = self.w(b + "moving_mean"), self.w(b + "moving_variance")
                        y = F.batch_norm(y, mean, variance, self.w(b + "gamma"), self.w(b + "beta"), True, 0.01, 1e-3)
                    if node["activation"] == "relu":
                        y = F.relu(y)
            outputs[node["name"]] = y
        return outputs[self.graph["top"]], outputs[self.graph["early"]]

    def lstm(self, x, steps):
        """x [rows, width] or a list of them -> list of hidden states, layer by layer as ours."""
        for layer in range(self.h["num_lstm_layers"]):
            kernel = self.w(f"decoder/lstm/layer_{layer}/kernel")
            bias = self.w(f"decoder/lstm/layer_{layer}/bias")
            units = bias.shape[0] // 4
            width = kernel.shape[0] - units
            if isinstance(x, list):
                gates = (torch.stack(x) @ kernel[:width] + bias).unbind(0)
            else:
                gates = [x @ kernel[:width] + bias] * steps
            hidden = cell = None
            states = []
            for t in range(steps):
                g = gates[t] if hidden is None else torch.addmm(gates[t], hidden, kernel[width:])
                i, j, f, o = g.chunk(4, 1)
                written = torch.sigmoid(i) * torch.tanh(j)
                cell = written if cell is None else cell * torch.sigmoid(f) + written
                hidden = torch.tanh(cell) * torch.sigmoid(o)
                states.append(hidden)
            x = states
        return x

    def rezoom(self, early, boxes):
        n, b, _ = boxes.shape
        _, c, height, width = early.shape
        position = (boxes[:, :, None, :2] + self.offsets * boxes[:, :, None, 2:]) / self.stride - 0.5
        limit = torch.tensor([width - 1.0, height - 1.0])
        grid = 2 * position / limit - 1
        sampled = F.grid_sample(early, grid, mode="bilinear", padding_mode="border", align_corners=True)
        return sampled.permute(0, 2, 3, 1).reshape(n, b, -1)

    def forward(self, frames, dropout):
        h, n = self.h, frames.shape[0]
        r, g = h["rnn_len"], h["grid_height"] * h["grid_width"]
        m = n * g
        top, early = self.backbone(frames / 127.5 - 1)
        top, early = top[:, : self.channels["later"]], early[:, : self.channels["early"]]
        if h["avg_pool_size"] > 1 and top.shape[1] > 700:
            size = h["avg_pool_size"]
            pooled = F.avg_pool2d(top[:, 700:], size, 1, size // 2, count_include_pad=False)
            top = torch.cat([top[:, :700], pooled], 1)
        x = top.permute(0, 2, 3, 1).reshape(m, -1) * h["lstm_input_scale"]
        hidden = self.lstm(x, r)
        drop = lambda t: F.dropout(t, dropout, True) if dropout > 0 else t
        dropped = [drop(t) for t in hidden]
        stack = lambda parts, name: torch.stack([p @ self.w(f"decoder/{name}/{k}") for k, p in enumerate(parts)], 1)
        boxes = (stack(dropped, "box_ip") * h["box_scale"]).reshape(n, g, r, 4)
        logits = stack(dropped, "conf_ip").reshape(n, g, r, -1)
        absolute = (boxes + self.centers).reshape(n, g * r, 4)
        seen = drop(self.rezoom(early, absolute).reshape(m, r, -1) * h["rezoom_feature_scale"])
        second = []
        for k in range(r):
            both = torch.cat([hidden[k], seen[:, k]], 1)
            second.append(drop(F.relu(both @ self.w(f"decoder/delta_ip1/{k}"))))
        rezoom_logits = (stack(second, "delta_ip2") * h["rezoom_conf_scale"]).reshape(n, g, r, -1)
        deltas = (stack(second, "delta_ip_boxes") * h["rezoom_box_scale"]).reshape(n, g, r, 4)
        return boxes, logits, rezoom_logits, deltas


def match(predictions, truths, counts, r, min_iou):
    """[m, r, 4] each; only cells with true boxes take time."""
    classes = np.zeros(predictions.shape[:2], np.float32)
    matched = np.zeros_like(predictions)
    for cell in np.nonzero(counts)[0]:
        p, t = predictions[cell][:, None], truths[cell][None, : counts[cell]]
        low = np.maximum(p[..., :2] - p[..., 2:] / 2, t[..., :2] - t[..., 2:] / 2)
        high = np.minimum(p[..., :2] + p[..., 2:] / 2, t[..., :2] + t[..., 2:] / 2)
        shared = np.prod(np.clip(high - low, 0, None), -1)
        area = lambda b: np.prod(np.clip(b[..., 2:], 0, None), -1)
        union = area(p) + area(t) - shared
        iou = np.where(union > 0, shared / np.maximum(union, 1e-12), 0)
        cost = np.arange(r)[:, None] + np.abs(p - t).sum(-1) / 2000 + 100 * (iou < min_iou)
        for i, j in zip(*linear_sum_assignment(cost)):
            classes[cell, i] = 1
            matched[cell, i] = truths[cell, j]
    return classes, matched


def loss_of(outputs, truths, counts, h):
    boxes, logits, rezoom_logits, deltas = outputs
    n, g, r, _ = boxes.shape
    m = n * g
    weight, box_weight = h["solver"]["head_weights"]
    predictions = boxes.detach().reshape(m, r, 4).numpy()
    classes, matched = match(predictions, truths, counts, r, h["solver"]["hungarian_iou"])
    distance = (matched[..., :2] - predictions[..., :2]) / np.maximum(matched[..., 2:], 1)
    right = classes * ((distance**2).sum(-1) < 0.04)
    mask = torch.from_numpy(classes).reshape(n, g, r, 1)
    wanted = torch.from_numpy(matched).reshape(n, g, r, 4)
    entropy = lambda l, c: F.cross_entropy(l.reshape(m * r, -1), torch.from_numpy(c).reshape(-1).long(), reduction="sum")
    confidence = entropy(logits, classes) * (weight / m)
    box = ((wanted - boxes) * mask).abs().sum() * (box_weight / m)
    second = entropy(rezoom_logits, right) * (weight * 0.1 / m)
    corrected = (wanted - boxes - deltas) * mask
    delta = corrected.square().clamp(max=100).sum() * (box_weight * 0.03 / m)
    return confidence + box + second + delta


def main():
    request = json.loads(sys.stdin.readline())
    torch.set_num_threads(request["threads"])
    torch.manual_seed(1)
    h = request["hypes"]
    network = Network(request)
    n, r = request["batch"], h["rnn_len"]
    frames = np.fromfile(request["frames"], dtype=np.float32).reshape(n, h["image_height"], h["image_width"], 3)
    frames = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    truths = np.fromfile(request["truths"], dtype=np.float32).reshape(-1, r, 4)
    counts = np.fromfile(request["counts"], dtype=np.int32)
    parameters = [p for p in network.parameters()]
    squares = [torch.ones_like(p) for p in parameters]
    forward = torch.compile(network) if request["compile"] else network

    def step():
        loss = loss_of(forward(frames, h["dropout"]), truths, counts, h)
        loss.backward()
        with torch.no_grad():
            torch.nn.utils.clip_grad_norm_(parameters, h["clip_norm"], foreach=True)
            gradients = [p.grad for p in parameters]
            torch._foreach_mul_(squares, 0.9)
            torch._foreach_addcmul_(squares, gradients, gradients, 0.1)
            roots = torch._foreach_add(squares, h["solver"]["epsilon"])
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(parameters, gradients, roots, -h["solver"]["learning_rate"])
        for p in parameters:
            p.grad = None

    for line in sys.stdin:
        if line.strip() == "loss":
            with torch.no_grad():
                answer = {"loss": float(loss_of(network(frames, 0.0), truths, counts, h))}
        else:
            start = time.perf_counter()
            step()
            answer = {"ms": (time.perf_counter() - start) * 1e3}
        print(json.dumps(answer), flush=True)


main()
