"""Peer of the training steps of small networks, in PyTorch eager."""

import time

import torch
from torch import nn
from torch.nn import functional

from protocol import read_safetensors, serve

WIDTH, HEADS, CONTEXT, LETTERS = 128, 4, 64, 65


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = (
            y.reshape(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2)
            for y in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters = nn.Embedding(LETTERS, WIDTH)
        self.places = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, LETTERS)

    def forward(self, x):
        x = self.letters(x) + self.places(torch.arange(CONTEXT))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)).flatten(0, 1)


NETWORKS = {
    "mlp": lambda: nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    ),
    "convnet": lambda: nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 10),
    ),
    "gpt": Gpt,
}


class Session:
    def load(self, name, path, threads):
        torch.set_num_threads(threads)
        tensors, _ = read_safetensors(path)
        self.x, self.y = tensors.pop(".input"), tensors.pop(".target")
        self.model = NETWORKS[name]()
        self.model.load_state_dict(tensors)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        return {}

    def steps(self, n):
        start = time.perf_counter()
        for _ in range(n):
            self.optimizer.zero_grad()
            loss = functional.cross_entropy(self.model(self.x), self.y)
            loss.backward()
            self.optimizer.step()
            value = loss.item()
        return {"ms": (time.perf_counter() - start) * 1e3 / n, "loss": value}


if __name__ == "__main__":
    session = Session()
    serve({"load": session.load, "steps": session.steps})
