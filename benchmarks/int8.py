"""Would int8 be fast and exact enough for `precision="fast"`? ONNX Runtime, calibrated on real patches.

Weights are quantized per channel, activations by the range that each calibration finds on 384 patches; the error of the
embeddings is that of 1,024 other patches, compared with float32. bfloat16, as `precision="fast"` computes it, is
measured in the same run. Needs `pip install onnx onnxscript onnxruntime`, which no other part of sknic does.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.common import report, test_data
from benchmarks.fast import encoders

N_CALIBRATION, N_TEST, BATCH, REPEATS = 384, 1024, 32, 3
CALIBRATIONS = ("MinMax", "Percentile", "Entropy")


def pixels_of(patches, size):
    """What the network takes: float (n, 3, size, size)."""
    import torch

    from sknic.encoders.inference import to_pixels

    return to_pixels(torch.from_numpy(np.ascontiguousarray(patches)), size).contiguous().numpy()


def export(embedder, pixels, path):
    """Write the network of an embedder as ONNX; names of its layers with weights."""
    import onnx
    import torch
    from onnxruntime.quantization.shape_inference import quant_pre_process

    network = embedder.network.to(memory_format=torch.contiguous_format).eval()
    example, names = (torch.from_numpy(pixels[:BATCH]),), {"input_names": ["x"], "output_names": ["y"]}
    torch.onnx.export(network, example, path, dynamic_axes={"x": {0: "n"}}, dynamo=False, **names)
    quant_pre_process(path, path)
    return [node.name for node in onnx.load(path).graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]


def quantize(path, out, calibration, kept, pixels):
    """Write a quantized copy of a network; the layers that are named stay float32."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        batches = iter([{"x": pixels[start : start + BATCH]} for start in range(0, len(pixels), BATCH)])

        def get_next(self):
            return next(self.batches, None)

    quantize_static(
        path,
        out,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=getattr(CalibrationMethod, calibration),
        nodes_to_exclude=kept,
        extra_options={"CalibPercentile": 99.99} if calibration == "Percentile" else {},
    )


def runner(path):
    """A function of pixels that runs a network with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    starts = range(0, N_TEST, BATCH)
    return lambda pixels: np.concatenate([session.run(None, {"x": pixels[i : i + BATCH]})[0] for i in starts])


def rows_of(name, encoder, patches):
    """One row per way: patches per CPU second, and error of the embeddings."""
    calibration, test = patches[:N_CALIBRATION], patches[N_CALIBRATION : N_CALIBRATION + N_TEST]
    exact = encoder.embedder("cpu", "float32")
    ways = {"float32": (exact, test), "bfloat16": (encoder.embedder("cpu", "bfloat16"), test)}
    pixels = {
        part: pixels_of(values, exact.input_size) for part, values in (("calibration", calibration), ("test", test))
    }
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "exact.onnx")
        layers = export(encoder.embedder("cpu", "float32"), pixels["calibration"], path)
        ways["float32, ONNX Runtime"] = (runner(path), pixels["test"])
        for method in CALIBRATIONS:
            for what, kept in {"first and last layer float32": [layers[0], layers[-1]], "all layers": []}.items():
                out = str(Path(folder) / f"{method}-{len(kept)}.onnx")
                quantize(path, out, method, kept, pixels["calibration"])
                ways[f"int8, {method}, {what}"] = (runner(out), pixels["test"])
        wanted = exact(test)
        return [{"encoder": name, "way": way, **_measured(*called, wanted)} for way, called in ways.items()]


def _measured(run, values, wanted):
    seconds = []
    for _ in range(REPEATS):
        begun = time.process_time()
        found = run(values)
        seconds.append(time.process_time() - begun)
    error = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
    return {"patches per CPU s": round(N_TEST / float(np.median(seconds))), "error": round(error, 4)}


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    import torch

    from sknic.datasets import load_patch_folder

    torch.set_num_threads(1)
    patches = load_patch_folder(test_data("patches"))[0]
    patches = patches[np.random.RandomState(0).permutation(len(patches))]
    rows = [row for name, encoder in encoders().items() for row in rows_of(name, encoder, patches)]
    report("int8", rows, "Embeddings in int8, compared with float32")


if __name__ == "__main__":
    main()
