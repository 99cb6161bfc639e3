"""Transformers of images, words and tables spelled as in Paddle's own collections."""

from __future__ import annotations

import math

import numpy as np
import paddle
from paddle import Tensor, nn

from foreign.paddle_style import ConvBNLayer, fully_connected
from foreign.registry import F, Made, Net, ids, image, mlp, network, unit
from foreign.transformers import Block, grid, patched, tokens

# fmt: off


def window_partition(x: Tensor, window_size: int) -> Tensor:
    B, H, W, C = x.shape
    x = x.reshape([B, H // window_size, window_size, W // window_size, window_size, C])
    return x.transpose([0, 1, 3, 2, 4, 5]).reshape([-1, window_size, window_size, C])


class WindowAttention(nn.Layer):
    def __init__(self, dim: int, window_size: int, num_heads: int) -> None:
        super().__init__()
        self.dim, self.window_size, self.num_heads, head_dim = dim, window_size, num_heads, dim // num_heads
        self.scale = head_dim**-0.5
        self.relative_position_bias_table = self.create_parameter(shape=((2 * window_size - 1) ** 2, num_heads))
        at = np.stack(np.meshgrid(*[np.arange(window_size)] * 2, indexing="ij")).reshape(2, -1)
        apart = (at[:, :, None] - at[:, None, :]).transpose(1, 2, 0) + window_size - 1
        self.register_buffer("relative_position_index", paddle.to_tensor(apart[:, :, 0] * (2 * window_size - 1) + apart[:, :, 1]))
        self.qkv, self.proj, self.softmax = nn.Linear(dim, dim * 3), nn.Linear(dim, dim), nn.Softmax(axis=-1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        B_, N, C = x.shape
        qkv = self.qkv(x).reshape([B_, N, 3, self.num_heads, C // self.num_heads]).transpose([2, 0, 3, 1, 4])
        q, k, v = qkv[0], qkv[1], qkv[2]
        attn = paddle.mm(q * self.scale, k.transpose([0, 1, 3, 2]))
        index = self.relative_position_index.reshape([-1])
        bias = paddle.index_select(self.relative_position_bias_table, index).reshape([N, N, -1]).transpose([2, 0, 1])
        attn = attn + bias.unsqueeze(0)
        if mask is not None:
            nW = mask.shape[0]
            attn = attn.reshape([B_ // nW, nW, self.num_heads, N, N]) + mask.unsqueeze(1).unsqueeze(0)
            attn = attn.reshape([-1, self.num_heads, N, N])
        return self.proj(paddle.mm(self.softmax(attn), v).transpose([0, 2, 1, 3]).reshape([B_, N, C]))


class SwinBlock(nn.Layer):
    def __init__(self, dim: int, side: int, window_size: int, shift_size: int) -> None:
        super().__init__()
        self.input_resolution, self.window_size, self.shift_size = (side, side), window_size, shift_size
        self.norm1, self.attn, self.norm2, self.mlp = nn.LayerNorm(dim), WindowAttention(dim, window_size, 2), nn.LayerNorm(dim), mlp(dim, 3 * dim, dim, act=nn.GELU)
        mask = None
        if shift_size > 0:
            where = paddle.zeros((1, side, side, 1))
            cuts = (slice(0, -window_size), slice(-window_size, -shift_size), slice(-shift_size, None))
            for n, (h, w) in enumerate((h, w) for h in cuts for w in cuts):
                where[:, h, w, :] = n
            rows = window_partition(where, window_size).reshape((-1, window_size * window_size))
            mask = rows.unsqueeze(1) - rows.unsqueeze(2)
            mask = paddle.where(mask != 0, paddle.ones_like(mask) * -100.0, paddle.zeros_like(mask))
        self.register_buffer("attn_mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        H, W = self.input_resolution
        B, L, C = x.shape
        shortcut = x
        x = self.norm1(x).reshape([B, H, W, C])
        if self.shift_size > 0:
            x = paddle.roll(x, shifts=(-self.shift_size, -self.shift_size), axis=(1, 2))
        windows = window_partition(x, self.window_size).reshape([-1, self.window_size * self.window_size, C])
        windows = self.attn(windows, mask=self.attn_mask).reshape([-1, self.window_size, self.window_size, C])
        x = windows.reshape([-1, H // self.window_size, W // self.window_size, self.window_size, self.window_size, C]).transpose([0, 1, 3, 2, 4, 5]).reshape([-1, H, W, C])
        if self.shift_size > 0:
            x = paddle.roll(x, shifts=(self.shift_size, self.shift_size), axis=(1, 2))
        x = shortcut + x.reshape([B, H * W, C])
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Layer):
    def __init__(self, side: int, dim: int) -> None:
        super().__init__()
        self.side, self.reduction, self.norm = side, nn.Linear(4 * dim, 2 * dim, bias_attr=False), nn.LayerNorm(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        B, L, C = x.shape
        x = x.reshape([B, self.side, self.side, C])
        x = paddle.concat([x[:, 0::2, 0::2, :], x[:, 1::2, 0::2, :], x[:, 0::2, 1::2, :], x[:, 1::2, 1::2, :]], -1)
        return self.reduction(self.norm(x.reshape([B, (self.side // 2) ** 2, 4 * C])))


@network
def swin_shifted() -> Made:
    return patched(nn.Sequential(SwinBlock(16, 4, 2, 0), SwinBlock(16, 4, 2, 1), PatchMerging(4, 16), SwinBlock(32, 2, 2, 0)), out=32)


@network
def twins_gvt() -> Made:
    class Locally(nn.Layer):
        def __init__(self, dim: int, heads: int, ws: int) -> None:
            super().__init__()
            self.dim, self.num_heads, self.ws, self.scale = dim, heads, ws, (dim // heads) ** -0.5
            self.qkv, self.proj = nn.Linear(dim, dim * 3), nn.Linear(dim, dim)

        def forward(self, x: Tensor) -> Tensor:
            B, N, C = x.shape
            H = W = int(N**0.5)
            h_group, w_group = H // self.ws, W // self.ws
            total = h_group * w_group
            x = x.reshape([B, h_group, self.ws, w_group, self.ws, C]).transpose([0, 1, 3, 2, 4, 5])
            qkv = self.qkv(x).reshape([B, total, self.ws**2, 3, self.num_heads, C // self.num_heads]).transpose([3, 0, 1, 4, 2, 5])
            q, k, v = qkv[0], qkv[1], qkv[2]
            attn = nn.Softmax(axis=-1)(paddle.matmul(q, k.transpose([0, 1, 2, 4, 3])) * self.scale)
            attn = paddle.matmul(attn, v).transpose([0, 1, 3, 2, 4]).reshape([B, h_group, w_group, self.ws, self.ws, C])
            return self.proj(attn.transpose([0, 1, 3, 2, 4, 5]).reshape([B, N, C]))

    class PosCNN(nn.Layer):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.proj = nn.Sequential(nn.Conv2D(dim, dim, 3, 1, 1, bias_attr=False, groups=dim))

        def forward(self, x: Tensor) -> Tensor:
            side = int(x.shape[1] ** 0.5)
            feat = grid(x, side, side)
            return tokens(self.proj(feat) + feat)
    return patched(nn.Sequential(Block(16, Locally(16, 2, 2)), PosCNN(16), Block(16)))


@network
def mobile_vit_v2() -> Made:
    class LinearSelfAttention(nn.Layer):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.embed_dim, self.qkv_proj, self.out_proj = dim, nn.Conv2D(dim, 1 + 2 * dim, 1), nn.Conv2D(dim, dim, 1)

        def forward(self, x: Tensor) -> Tensor:
            query, key, value = paddle.split(self.qkv_proj(x), [1, self.embed_dim, self.embed_dim], axis=1)
            context = (key * F.softmax(query, axis=-1)).sum(axis=-1, keepdim=True)
            return self.out_proj(F.relu(value) * context.expand_as(value))

    def run(m, x):
        x = m.stem(x)
        B, C, H, W = x.shape
        y = m.local(x)
        patches = F.unfold(y, 2, strides=2).reshape([B, y.shape[1], 4, -1])
        patches = patches + m.attn(m.norm(patches))
        patches = patches + m.ffn(patches)
        y = F.fold(patches.reshape([B, -1, patches.shape[-1]]), [H, W], 2, strides=2)
        return m.fc((m.out(y) + x).mean([2, 3]))
    return Net(run, stem=ConvBNLayer(3, 8, 3, 2, act="swish"), local=nn.Sequential(ConvBNLayer(8, 8, 3, 1, 8), nn.Conv2D(8, 12, 1)), norm=nn.BatchNorm2D(12), attn=LinearSelfAttention(12),
               ffn=nn.Sequential(nn.Conv2D(12, 20, 1), nn.Silu(), nn.Conv2D(20, 12, 1)), out=ConvBNLayer(12, 8, 1, act=None), fc=fully_connected(8)), image()


@network
def star_relu_former() -> Made:
    class StarReLU(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.bias = (self.create_parameter([1], default_initializer=nn.initializer.Constant(v)) for v in (0.89, -0.45))

        def forward(self, x: Tensor) -> Tensor:
            return self.scale * F.relu(x) ** 2 + self.bias

    class SepConv(nn.Layer):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.pwconv1, self.act1, self.pwconv2 = nn.Linear(dim, 2 * dim, bias_attr=False), StarReLU(), nn.Linear(2 * dim, dim, bias_attr=False)
            self.dwconv = nn.Conv2D(2 * dim, 2 * dim, 3, padding=1, groups=2 * dim, bias_attr=False)

        def forward(self, x: Tensor) -> Tensor:
            x = self.act1(self.pwconv1(x)).transpose([0, 3, 1, 2])
            return self.pwconv2(self.dwconv(x).transpose([0, 2, 3, 1]))

    def run(m, x):
        x = m.stem(x).transpose([0, 2, 3, 1])
        x = m.scale * x + m.mixer(m.norm1(x))
        x = x + m.mlp(m.norm2(x))
        return m.fc(m.norm(x.mean(axis=[1, 2])))
    net = Net(run, stem=nn.Conv2D(3, 12, 4, 4), norm1=nn.LayerNorm(12, bias_attr=False), mixer=SepConv(12), norm2=nn.LayerNorm(12), mlp=nn.Sequential(nn.Linear(12, 30), StarReLU(), nn.Linear(30, 12)),
              norm=nn.LayerNorm(12), fc=nn.Linear(12, 5))
    net.scale = net.create_parameter([12], default_initializer=nn.initializer.Constant(1.0))
    return net, image()


@network
def star_net() -> Made:
    class Star(nn.Layer):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.dwconv, self.f1, self.f2 = ConvBNLayer(dim, dim, 7, 1, dim, None), nn.Conv2D(dim, 3 * dim, 1), nn.Conv2D(dim, 3 * dim, 1)
            self.g, self.dwconv2, self.act = ConvBNLayer(3 * dim, dim, 1, act=None), nn.Conv2D(dim, dim, 7, padding=3, groups=dim), nn.ReLU6()

        def forward(self, x: Tensor) -> Tensor:
            y = self.dwconv(x)
            return x + self.dwconv2(self.g(self.act(self.f1(y)) * self.f2(y)))
    return nn.Sequential(ConvBNLayer(3, 8, 3, 2, act="relu6"), Star(8), ConvBNLayer(8, 12, 3, 2), Star(12), nn.AdaptiveAvgPool2D(1), nn.Flatten(), fully_connected(12)), image()


@network
def multi_query_mobile() -> Made:
    """One key and one value for all heads, as in MobileNetV4."""
    class MQA(nn.Layer):
        def __init__(self, dim: int, heads: int, key_dim: int) -> None:
            super().__init__()
            self.num_heads, self.key_dim, self.scale = heads, key_dim, key_dim**-0.5
            self.query, self.key, self.value, self.out = nn.Conv2D(dim, heads * key_dim, 1), nn.Conv2D(dim, key_dim, 1), nn.Conv2D(dim, key_dim, 1), nn.Conv2D(heads * key_dim, dim, 1)

        def forward(self, x: Tensor) -> Tensor:
            b, _, h, w = x.shape
            q = self.query(x).reshape([b, self.num_heads, self.key_dim, h * w]).transpose([0, 1, 3, 2])
            k, v = self.key(x).flatten(2).unsqueeze(1), self.value(x).flatten(2).transpose([0, 2, 1]).unsqueeze(1)
            y = F.softmax(q @ k * self.scale, axis=-1) @ v
            return self.out(y.transpose([0, 1, 3, 2]).reshape([b, self.num_heads * self.key_dim, h, w]))

    class UIB(nn.Layer):
        def __init__(self, into: int, out: int, start: bool, middle: bool) -> None:
            super().__init__()
            self.start = ConvBNLayer(into, into, 3, 1, into, None) if start else nn.Identity()
            self.expand, self.middle = ConvBNLayer(into, 24, 1), ConvBNLayer(24, 24, 3, 1, 24) if middle else nn.Identity()
            self.project, self.same = ConvBNLayer(24, out, 1, act=None), into == out

        def forward(self, x: Tensor) -> Tensor:
            y = self.project(self.middle(self.expand(self.start(x))))
            return x + y if self.same else y

    def run(m, x):
        x = m.uib(m.stem(x))
        x = x + m.mqa(m.norm(x))
        return m.fc(m.head(x).mean([2, 3]))
    return Net(run, stem=ConvBNLayer(3, 8, 3, 2), uib=nn.Sequential(UIB(8, 12, True, True), UIB(12, 12, True, False)), norm=nn.BatchNorm2D(12), mqa=MQA(12, 2, 6), head=ConvBNLayer(12, 20, 1),
               fc=fully_connected(20)), image()


@network
def ernie_encoder() -> Made:
    def run(m, input_ids, token_type_ids):
        attention_mask = paddle.unsqueeze((input_ids == 0).astype("float32") * -1e4, axis=[1, 2])
        position_ids = paddle.cumsum(paddle.ones_like(input_ids), axis=1) - paddle.ones_like(input_ids)
        x = m.word(input_ids) + m.position(position_ids) + m.kind(token_type_ids)
        sequence = m.encoder(m.norm(x), attention_mask)
        pooled = F.tanh(m.pooler(sequence[:, 0]))
        scores = paddle.matmul(m.transform_norm(F.gelu(m.transform(sequence))), m.word.weight, transpose_y=True) + m.decoder_bias
        return scores, m.classifier(pooled)
    layer = nn.TransformerEncoderLayer(16, 4, 24, dropout=0.1, activation="gelu", attn_dropout=0.1, act_dropout=0.0)
    net = Net(run, word=nn.Embedding(11, 16, padding_idx=0), position=nn.Embedding(8, 16), kind=nn.Embedding(2, 16), norm=nn.LayerNorm(16), encoder=nn.TransformerEncoder(layer, 2),
              pooler=nn.Linear(16, 16), transform=nn.Linear(16, 16), transform_norm=nn.LayerNorm(16), classifier=nn.Linear(16, 3))
    net.decoder_bias = net.create_parameter([11], is_bias=True)
    return net, [ids(), ids(6, 2)]


@network
def bloom_with_alibi() -> Made:
    class Attention(nn.Layer):
        def __init__(self, hidden: int, heads: int) -> None:
            super().__init__()
            self.num_heads, self.head_dim = heads, hidden // heads
            self.inv_norm_factor = 1.0 / math.sqrt(self.head_dim)
            self.query_key_value, self.dense = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)

        def forward(self, x: Tensor, alibi: Tensor, mask: Tensor) -> Tensor:
            fused = self.query_key_value(x)
            b, s, _ = fused.shape
            fused = fused.reshape([b, s, self.num_heads, 3, self.head_dim])
            q, k, v = fused[..., 0, :], fused[..., 1, :], fused[..., 2, :]
            q, k, v = q.transpose([0, 2, 1, 3]), k.transpose([0, 2, 3, 1]), v.transpose([0, 2, 1, 3])
            scores = alibi + paddle.matmul(q, k) * self.inv_norm_factor
            probs = F.softmax(paddle.where(mask, paddle.full_like(scores, -1e4), scores), axis=-1)
            context = paddle.matmul(probs, v).transpose([0, 2, 1, 3])
            return self.dense(context.reshape([b, s, self.num_heads * self.head_dim]))

    def run(m, x):
        s = x.shape[1]
        alibi = m.slopes * paddle.arange(s, dtype="float32").reshape([1, 1, 1, s])
        mask = paddle.triu(paddle.ones([s, s], dtype="bool"), diagonal=1).unsqueeze([0, 1])
        h = m.norm0(m.word(x))
        for norm1, attn, norm2, ffn in zip(m.norm1, m.attn, m.norm2, m.ffn, strict=False):
            h = h + attn(norm1(h), alibi, mask)
            h = h + ffn(norm2(h))
        return paddle.matmul(h, m.word.weight, transpose_y=True)
    net = Net(run, word=nn.Embedding(11, 16), norm0=nn.LayerNorm(16), norm1=[nn.LayerNorm(16) for _ in range(2)], attn=[Attention(16, 2), Attention(16, 4)][:1] * 2,
              norm2=[nn.LayerNorm(16) for _ in range(2)], ffn=[mlp(16, 40, 16, act=nn.GELU) for _ in range(2)])
    net.register_buffer("slopes", paddle.to_tensor([0.5, 0.25]).reshape([1, 2, 1, 1]))
    return net, ids()


@network
def segmenter_masks() -> Made:
    def run(m, x):
        B, _, H, W = x.shape
        x = tokens(m.patch(x)) + m.pos
        x = m.norm(m.blocks(x))
        x = m.decoder(paddle.concat([m.proj_dec(x), m.cls.expand([B, -1, -1])], axis=1))
        x = m.dec_norm(x)
        patches, masks = x[:, :-3], x[:, -3:]
        patches, masks = m.proj_patch(patches), m.proj_class(masks)
        patches, masks = patches / paddle.norm(patches, axis=-1, keepdim=True), masks / paddle.norm(masks, axis=-1, keepdim=True)
        out = m.mask_norm(patches @ masks.transpose([0, 2, 1]))
        out = out.reshape([B, H // 4, W // 4, 3]).transpose([0, 3, 1, 2])
        return F.interpolate(out, size=[H, W], mode="bilinear")
    net = Net(run, patch=nn.Conv2D(3, 16, 4, 4), blocks=nn.Sequential(Block(16)), norm=nn.LayerNorm(16), proj_dec=nn.Linear(16, 12), decoder=nn.Sequential(Block(12)), dec_norm=nn.LayerNorm(12),
              proj_patch=nn.Linear(12, 10, bias_attr=False), proj_class=nn.Linear(12, 10, bias_attr=False), mask_norm=nn.LayerNorm(3))
    net.pos, net.cls = net.create_parameter([1, 16, 16]), net.create_parameter([1, 3, 12])
    return net, image()


@network
def scene_text_svtr() -> Made:
    """Local mixing by a mask; the height is merged away; scores of a connectionist loss."""
    class Mixer(nn.Layer):
        def __init__(self, dim: int, heads: int, hw: tuple[int, int], local: bool) -> None:
            super().__init__()
            self.num_heads, self.head_dim, self.scale = heads, dim // heads, (dim // heads) ** -0.5
            self.qkv, self.proj = nn.Linear(dim, dim * 3), nn.Linear(dim, dim)
            h, w = hw
            near = np.abs(np.arange(w)[:, None] - np.arange(w)[None]) <= 1
            hidden = np.where(np.tile(near, (h, h)), 0.0, -1e4).astype("float32")
            self.mask = paddle.to_tensor(hidden).unsqueeze([0, 1]) if local else None

        def forward(self, x: Tensor) -> Tensor:
            qkv = self.qkv(x).reshape((0, -1, 3, self.num_heads, self.head_dim)).transpose((2, 0, 3, 1, 4))
            q, k, v = qkv[0] * self.scale, qkv[1], qkv[2]
            attn = q.matmul(k.transpose((0, 1, 3, 2)))
            if self.mask is not None:
                attn += self.mask
            x = nn.functional.softmax(attn, axis=-1).matmul(v).transpose((0, 2, 1, 3)).reshape((0, -1, self.num_heads * self.head_dim))
            return self.proj(x)

    def run(m, x):
        x = tokens(m.patch(x)) + m.pos
        x = m.block2(m.block1(x))
        x = m.sub(x.transpose([0, 2, 1]).reshape([0, 12, 2, 8]))
        x = m.last(F.adaptive_avg_pool2d(x, [1, 8])).squeeze(axis=2).transpose([0, 2, 1])
        return F.softmax(m.ctc(x), axis=2)
    net = Net(run, patch=nn.Sequential(unit(1, 8, stride=2, act=nn.GELU), unit(8, 12, stride=2, act=nn.GELU)), block1=Block(12, Mixer(12, 2, (2, 8), True)), block2=Block(12, Mixer(12, 3, (2, 8), False)),
              sub=nn.Conv2D(12, 16, 3, stride=[2, 1], padding=1), last=nn.Sequential(nn.Conv2D(16, 20, 1, bias_attr=False), nn.Hardswish()), ctc=nn.Linear(20, 7))
    net.pos = net.create_parameter([1, 16, 12])
    return net, paddle.randn([1, 1, 8, 32])
