"""A plain Python server of the same model: FastAPI on uvicorn, PIL, PyTorch eager; one scene at a time,
all modalities there, a palette PNG for an answer.

    predict_server.py MODEL THREADS     MODEL: a file of bench/children/serve-handover.mjs
"""

import io
import json
import socket
import sys

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request, Response
from PIL import Image

from linear_fusion import LinearFusion
from protocol import read_safetensors

path, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
state, meta = read_safetensors(path)
modalities = json.loads(meta["modalities"])
size = json.loads(meta["size"])
model = LinearFusion(meta["backbone"], int(meta["num_classes"]), len(modalities))
missing, unexpected = model.load_state_dict(state, strict=False)
assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
model.eval()


def sized(image, resampling):
    return image if size is None else image.resize(size[::-1], resampling)


def rgb(data):
    image = sized(Image.open(io.BytesIO(data)).convert("RGB"), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.float32) / 255


def depth(data, invalid):
    raw = np.asarray(Image.open(io.BytesIO(data)))
    measured = np.ones(raw.shape, bool) if invalid is None else raw != invalid
    values = raw.astype(np.float32)
    low, high = values[measured].min(), values[measured].max()
    values = np.where(measured, (values - low) / (high - low), 0).astype(np.float32)
    values = np.asarray(sized(Image.fromarray(values), Image.Resampling.NEAREST))
    return np.repeat(values[..., None], 3, axis=2)


def prepare(modality, data):
    pixels = rgb(data) if modality["kind"] == "rgb" else depth(data, modality["invalid"])
    pixels = (pixels - np.float32(modality["mean"])) / np.float32(modality["std"])
    return torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1)[None])


app = FastAPI()


@app.post("/predict")
async def predict(request: Request):
    form = await request.form()
    images = {m["name"]: await form[m["name"]].read() for m in modalities}
    # In the event loop: a second thread would only take the products' processors away.
    with torch.inference_mode():
        inputs = [prepare(m, images[m["name"]]) for m in modalities]
        classes = model(inputs)[-1].argmax(1)[0].to(torch.uint8)
    width, height = Image.open(io.BytesIO(images[modalities[0]["name"]])).size
    picture = Image.fromarray(classes.numpy(), "P").resize((width, height), Image.Resampling.NEAREST)
    picture.putpalette(json.loads(meta["palette"]))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png")


listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen(256)
print(f"listening on http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listening])
