"""Peers of the inference cases: Linear Fusion as the authors wrote it, its ONNX export, and Hugging
Face's SegFormer; all in evaluation mode and without gradients."""

import contextlib
import warnings

import torch

from linear_fusion import LinearFusion
from protocol import milliseconds, read_safetensors, serve


class Session:
    """One model and its inputs: `linear_fusion` or `segformer` loads them, `run` times them."""

    def linear_fusion(self, path, threads):
        """From a file with `state.*` and `input.*`; metadata: backbone, num_classes."""
        torch.set_num_threads(threads)
        tensors, meta = read_safetensors(path)
        part = lambda prefix: {n[len(prefix):]: t for n, t in tensors.items() if n.startswith(prefix)}
        model = LinearFusion(f"mit_{meta['backbone']}", int(meta["num_classes"]))
        missing, unexpected = model.load_state_dict(part("state."), strict=False)
        assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), missing
        self.model = model.eval()
        self.inputs = [tensors["input.rgb"], tensors["input.depth"]]
        return {}

    def export(self, path):
        """The plain graph, [rgb, depth] to all heads, with constants folded as the exporter does."""

        class Graph(torch.nn.Module):
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, *xs):
                return tuple(self.model(list(xs)))

        heads = ["rgb_logits", "depth_logits", "ensemble"]
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracing exporter, which needs no onnxscript
            torch.onnx.export(
                Graph(self.model), tuple(self.inputs), path, input_names=["rgb", "depth"],
                output_names=heads, opset_version=17, dynamo=False,
            )
        return {"heads": heads}

    def segformer(self, path, folder, threads, **config):
        """Hugging Face's with random weights, saved in `folder`; inputs `input.*` from the file."""
        from transformers import SegformerConfig, SegformerForSemanticSegmentation
        from transformers.utils import logging

        logging.disable_progress_bar()
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        network = SegformerForSemanticSegmentation(SegformerConfig(**config)).eval()
        network.save_pretrained(folder)
        tensors, _ = read_safetensors(path)
        self.model = lambda xs: [network(xs[0]).logits]
        self.inputs = list(tensors.values())
        return {}

    def predict(self, autocast):
        cast = torch.autocast("cpu", torch.bfloat16) if autocast else contextlib.nullcontext()
        with torch.no_grad(), cast:
            return self.model(self.inputs)

    def run(self, n, autocast=False):
        times, _ = milliseconds(lambda: self.predict(autocast), n)
        return {"ms": times}

    def compare(self, path, autocast=False):
        """The largest difference of any head from those in a file, relative to the head's largest value."""
        found, _ = read_safetensors(path)
        heads = self.predict(autocast)
        error = max(
            float((found[str(i)].float() - head.float()).abs().max() / head.float().abs().max())
            for i, head in enumerate(heads)
        )
        return {"difference": error}


if __name__ == "__main__":
    session = Session()
    names = ["linear_fusion", "export", "segformer", "run", "compare"]
    serve({name: getattr(session, name) for name in names})
