"""Language models and what replaces attention in them."""

from __future__ import annotations

import math

import paddle
from paddle import Tensor, nn

from foreign.registry import (
    F,
    Made,
    Net,
    ids,
    image,
    mlp,
    network,
    unit,
)
from foreign.transformers import Block, Separate

# fmt: off


@network
def paddle_transformer() -> Made:
    def run(m, source, target):
        return m.out(m.t(m.embed(source), m.embed(target)))
    return Net(run, embed=nn.Embedding(11, 8), t=nn.Transformer(8, 2, 1, 1, 20, dropout=0.1), out=nn.Linear(8, 11)), [ids(), ids(5)]


@network
def bert() -> Made:
    def run(m, tokens, kinds):
        place = paddle.arange(tokens.shape[1]).unsqueeze(0)
        x = m.norm(m.word(tokens) + m.place(place) + m.kind(kinds))
        mask = (tokens == 0).astype("float32").unsqueeze([1, 2]) * -1e4
        x = m.encoder(x, mask)
        pooled = F.tanh(m.pool(x[:, 0]))
        return m.cls(pooled), paddle.matmul(m.n2(F.gelu(m.transform(x))), m.word.weight, transpose_y=True) + m.bias
    net = Net(run, word=nn.Embedding(11, 8), place=nn.Embedding(9, 8), kind=nn.Embedding(2, 8), norm=nn.LayerNorm(8),
              encoder=nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 24, activation="gelu"), 2), pool=nn.Linear(8, 12),
              cls=nn.Linear(12, 2), transform=nn.Linear(8, 8), n2=nn.LayerNorm(8))
    net.bias = net.create_parameter([11], is_bias=True)
    return net, [ids(), paddle.zeros([1, 6], "int64")]


@network
def albert_shared() -> Made:
    def run(m, x):
        x = m.up(m.embed(x))
        for _ in range(3):
            x = m.block(x)
        return m.fc(x.mean(1))
    return Net(run, embed=nn.Embedding(11, 6), up=nn.Linear(6, 8), block=Block(8), fc=nn.Linear(8, 3)), ids()


@network
def gpt() -> Made:
    class Causal(nn.Layer):
        def __init__(self, dim: int, heads: int) -> None:
            super().__init__()
            self.c_attn, self.c_proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.n_head, self.n_embd = heads, dim
            self.register_buffer("tril", paddle.tril(paddle.ones([8, 8])).reshape([1, 1, 8, 8]), persistable=False)

        def forward(self, x: Tensor) -> Tensor:
            b, t, c = x.shape
            q, k, v = self.c_attn(x).split([self.n_embd] * 3, axis=2)
            k = k.view(b, t, self.n_head, c // self.n_head).transpose([0, 2, 1, 3])
            q = q.view(b, t, self.n_head, c // self.n_head).transpose([0, 2, 1, 3])
            v = v.view(b, t, self.n_head, c // self.n_head).transpose([0, 2, 1, 3])
            att = (q @ k.transpose([0, 1, 3, 2])) * (1.0 / math.sqrt(k.shape[-1]))
            att = paddle.where(self.tril[:, :, :t, :t] == 0, paddle.full([1], -1e9), att)
            y = F.softmax(att, axis=-1) @ v
            return self.c_proj(y.transpose([0, 2, 1, 3]).contiguous().view(b, t, c))

    def run(m, x):
        x = m.wte(x) + m.wpe(paddle.arange(0, x.shape[1]))
        return F.linear(m.ln(m.h(x)), m.wte.weight.t())
    return Net(run, wte=nn.Embedding(11, 8), wpe=nn.Embedding(8, 8), h=nn.Sequential(Block(8, Causal(8, 2)), Block(8, Causal(8, 4))),
               ln=nn.LayerNorm(8)), ids()


class RMS(nn.Layer):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = self.create_parameter([dim], default_initializer=nn.initializer.Constant(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * paddle.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


@network
def llama() -> Made:
    class Grouped(nn.Layer):
        """Rotary positions, fewer heads for keys than for queries."""

        def __init__(self, dim: int = 16, heads: int = 4, groups: int = 2) -> None:
            super().__init__()
            self.heads, self.groups, self.width = heads, groups, dim // heads
            self.q_proj, self.o_proj = nn.Linear(dim, dim, bias_attr=False), nn.Linear(dim, dim, bias_attr=False)
            self.k_proj = nn.Linear(dim, groups * self.width, bias_attr=False)
            self.v_proj = nn.Linear(dim, groups * self.width, bias_attr=False)

        def rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
            x1, x2 = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
            return x * cos + paddle.concat([-x2, x1], axis=-1) * sin

        def forward(self, x: Tensor) -> Tensor:
            b, t, _ = x.shape
            freqs = paddle.outer(paddle.arange(t, dtype="float32"), 1.0 / 10000 ** (paddle.arange(0, self.width, 2, dtype="float32") / self.width))
            emb = paddle.concat([freqs, freqs], -1)
            cos, sin = emb.cos(), emb.sin()
            q = self.rotate(self.q_proj(x).view(b, t, self.heads, self.width).transpose([0, 2, 1, 3]), cos, sin)
            k = self.rotate(self.k_proj(x).view(b, t, self.groups, self.width).transpose([0, 2, 1, 3]), cos, sin)
            v = self.v_proj(x).view(b, t, self.groups, self.width).transpose([0, 2, 1, 3])
            k, v = (y.unsqueeze(2).expand([b, self.groups, self.heads // self.groups, t, self.width]).reshape([b, self.heads, t, self.width]) for y in (k, v))
            y = F.softmax(paddle.matmul(q, k, transpose_y=True) * 0.5 + paddle.triu(paddle.full([t, t], -1e9), 1), -1) @ v
            return self.o_proj(y.transpose([0, 2, 1, 3]).reshape([b, t, -1]))

    class Layer(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.n1, self.n2, self.attn = RMS(16), RMS(16), Grouped()
            self.gate_proj, self.up_proj, self.down_proj = nn.Linear(16, 40), nn.Linear(16, 40), nn.Linear(40, 16)

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.attn(self.n1(x))
            y = self.n2(x)
            return x + self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))
    return nn.Sequential(nn.Embedding(11, 16), Layer(), Layer(), RMS(16), nn.Linear(16, 11)), ids()


@network
def t5_relative() -> Made:
    def run(m, x):
        x = m.embed(x)
        t = x.shape[1]
        at = paddle.arange(t)
        bias = m.bias((at.unsqueeze(0) - at.unsqueeze(1)).clip(-3, 3) + 3).transpose([2, 0, 1]).unsqueeze(0)
        y = m.n(x)
        q, k, v = (f(y).reshape([1, t, 2, 4]).transpose([0, 2, 1, 3]) for f in (m.q, m.k, m.v))
        y = F.softmax(paddle.einsum("bhqd,bhkd->bhqk", q, k) + bias, axis=-1)
        x = x + m.o(paddle.einsum("bhqk,bhkd->bqhd", y, v).flatten(2))
        return m.lm(x + m.wo(F.relu(m.wi(m.n2(x)))))
    return Net(run, embed=nn.Embedding(11, 8), bias=nn.Embedding(7, 2), n=RMS(8), n2=RMS(8), q=nn.Linear(8, 8), k=nn.Linear(8, 8),
               v=nn.Linear(8, 8), o=nn.Linear(8, 8), wi=nn.Linear(8, 24), wo=nn.Linear(24, 8), lm=nn.Linear(8, 11)), ids()


@network
def linformer() -> Made:
    def run(m, x):
        x = m.embed(x)
        k = paddle.einsum("bnd,nk->bkd", m.k(x), m.e)
        v = paddle.einsum("bnd,nk->bkd", m.v(x), m.f)
        attn = F.softmax(paddle.einsum("bnd,bkd->bnk", m.q(x), k) * 8**-0.5, axis=-1)
        return m.out(paddle.einsum("bnk,bkd->bnd", attn, v))
    net = Net(run, embed=nn.Embedding(11, 8), q=nn.Linear(8, 10), k=nn.Linear(8, 10), v=nn.Linear(8, 12), out=nn.Linear(12, 4))
    net.e, net.f = net.create_parameter([6, 3]), net.create_parameter([6, 3])
    return net, ids()


@network
def linear_attention() -> Made:
    def run(m, x):
        x = m.embed(x)
        q, k, v = F.elu(m.q(x)) + 1, F.elu(m.k(x)) + 1, m.v(x)
        kv = paddle.einsum("bnd,bne->bde", k, v)
        z = 1 / (paddle.einsum("bnd,bd->bn", q, k.sum(1)) + 1e-6)
        return m.out(paddle.einsum("bnd,bde->bne", q, kv) * z.unsqueeze(-1))
    return Net(run, embed=nn.Embedding(11, 8), q=nn.Linear(8, 10), k=nn.Linear(8, 10), v=nn.Linear(8, 12), out=nn.Linear(12, 4)), ids()


@network
def conformer() -> Made:
    def run(m, x):
        x = x + 0.5 * m.ff1(m.n1(x))
        x = x + m.attn(m.n2(x))
        y = F.glu(m.pw1(m.n3(x).transpose([0, 2, 1])), axis=1)
        x = x + m.pw2(F.silu(m.bn(m.dw(y)))).transpose([0, 2, 1])
        return m.out(x + 0.5 * m.ff2(m.n4(x)))
    n = lambda: nn.LayerNorm(8)
    return Net(run, n1=n(), n2=n(), n3=n(), n4=n(), ff1=mlp(8, 24, 8, act=nn.Silu), ff2=mlp(8, 24, 8, act=nn.Silu), attn=Separate(8),
               pw1=nn.Conv1D(8, 24, 1), dw=nn.Conv1D(12, 12, 5, padding=2, groups=12), bn=nn.BatchNorm1D(12), pw2=nn.Conv1D(12, 8, 1),
               out=nn.Linear(8, 4)), paddle.randn([1, 10, 8])


@network
def perceiver() -> Made:
    def run(m, x):
        tokens = m.patch(x).flatten(2).transpose([0, 2, 1])
        latent = m.latent.expand([x.shape[0], -1, -1])
        for _ in range(2):
            latent = latent + m.cross(latent, tokens)
            latent = m.block(latent)
        return m.fc(latent.mean(1))
    net = Net(run, patch=unit(3, 10, stride=4), cross=Separate(8, context=10), block=Block(8), fc=nn.Linear(8, 3))
    net.latent = net.create_parameter([1, 4, 8], default_initializer=nn.initializer.Normal())
    return net, image()


@network
def detection_transformer() -> Made:
    def run(m, x):
        y = m.fit(m.body(x))
        h, w = y.shape[-2:]
        place = paddle.concat([m.col[:w].unsqueeze(0).expand([h, w, 4]), m.row[:h].unsqueeze(1).expand([h, w, 4])], -1).flatten(0, 1)
        memory = y.flatten(2).transpose([0, 2, 1]) + place.unsqueeze(0)
        z = m.t(memory, m.query.unsqueeze(0))
        return {"logits": m.cls(z), "boxes": F.sigmoid(m.box(z))}
    net = Net(run, body=nn.Sequential(unit(3, 8, stride=2), unit(8, 12, stride=2)), fit=nn.Conv2D(12, 8, 1), t=nn.Transformer(8, 2, 1, 1, 16),
              cls=nn.Linear(8, 4), box=mlp(8, 12, 4))
    net.row, net.col, net.query = net.create_parameter([10, 4]), net.create_parameter([10, 4]), net.create_parameter([5, 8])
    return net, image()


@network
def mixture_of_experts() -> Made:
    def run(m, x):
        x = m.embed(x)
        gates = F.softmax(m.router(x), axis=-1)
        y = paddle.stack([e(x) for e in m.experts], axis=-2)
        return m.out(x + (gates.unsqueeze(-1) * y).sum(-2))
    return Net(run, embed=nn.Embedding(11, 8), router=nn.Linear(8, 3), experts=[mlp(8, 16, 8, act=nn.GELU) for _ in range(3)],
               out=nn.Linear(8, 4)), ids()


@network
def experts_in_one_weight() -> Made:
    def run(m, x):
        x = m.embed(x)
        gates = F.softmax(m.router(x), axis=-1)
        h = F.relu(paddle.einsum("btd,edh->bteh", x, m.w1))
        return m.out(paddle.einsum("bteh,ehd->btd", h * gates.unsqueeze(-1), m.w2))
    net = Net(run, embed=nn.Embedding(11, 8), router=nn.Linear(8, 3), out=nn.Linear(8, 4))
    net.w1, net.w2 = net.create_parameter([3, 8, 16]), net.create_parameter([3, 16, 8])
    return net, ids()


@network
def rwkv_time_mix() -> Made:
    def run(m, x):
        x = m.embed(x)
        before = F.pad(x, [0, 0, 1, 0, 0, 0], data_format="NCL") if False else paddle.concat([paddle.zeros_like(x[:, :1]), x[:, :-1]], axis=1)
        xk = x * m.mix + before * (1 - m.mix)
        k = F.relu(m.key(xk)).square()
        return m.out(x + F.sigmoid(m.receptance(xk)) * m.value(k))
    net = Net(run, embed=nn.Embedding(11, 8), key=nn.Linear(8, 24), value=nn.Linear(24, 8), receptance=nn.Linear(8, 8), out=nn.Linear(8, 4))
    net.mix = net.create_parameter([8], default_initializer=nn.initializer.Uniform(0, 1))
    return net, ids()


@network
def state_space() -> Made:
    def run(m, x):
        x, z = m.into(x).chunk(2, axis=-1)
        x = F.silu(m.conv(x.transpose([0, 2, 1]))[:, :, :x.shape[1]].transpose([0, 2, 1]))
        dt, b, c = paddle.split(m.proj(x), [2, 3, 3], axis=-1)
        dt = F.softplus(m.dt(dt))
        a = -paddle.exp(m.a_log)
        state = paddle.zeros([x.shape[0], x.shape[2], 3])
        outs = []
        for t in range(x.shape[1]):
            state = state * paddle.exp(dt[:, t].unsqueeze(-1) * a) + (dt[:, t] * x[:, t]).unsqueeze(-1) * b[:, t].unsqueeze(1)
            outs.append((state * c[:, t].unsqueeze(1)).sum(-1))
        y = paddle.stack(outs, axis=1) + x * m.d
        return m.out(y * F.silu(z))
    net = Net(run, into=nn.Linear(6, 16), conv=nn.Conv1D(8, 8, 3, padding=2, groups=8), proj=nn.Linear(8, 8), dt=nn.Linear(2, 8), out=nn.Linear(8, 6))
    net.a_log, net.d = net.create_parameter([8, 3]), net.create_parameter([8])
    return net, paddle.randn([1, 5, 6])
