"""Restoring, rotary and relative attention, and hybrids, spelled as in Paddle's own collections."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.paddle_style import ConvBNLayer
from foreign.registry import F, Made, Net, ids, image, mlp, network, unit
from foreign.transformers import Block, tokens

# fmt: off


@network
def roformer() -> Made:
    class Attention(nn.Layer):
        def __init__(self, dim: int, heads: int) -> None:
            super().__init__()
            self.num_heads, self.head_dim = heads, dim // heads
            self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))
            inv = 1.0 / 10000 ** (paddle.arange(0, self.head_dim, 2, dtype="float32") / self.head_dim)
            angles = paddle.arange(8, dtype="float32").unsqueeze(-1) @ inv.unsqueeze(0)
            self.register_buffer("sin", angles.sin(), persistable=False)
            self.register_buffer("cos", angles.cos(), persistable=False)

        def rotate(self, x: Tensor, n: int) -> Tensor:
            sin, cos = self.sin[:n], self.cos[:n]
            x1, x2 = x[..., 0::2], x[..., 1::2]
            return paddle.stack([x1 * cos - x2 * sin, x2 * cos + x1 * sin], axis=-1).flatten(-2, -1)

        def forward(self, x: Tensor) -> Tensor:
            n = x.shape[1]
            q, k, v = (paddle.reshape(layer(x), [0, 0, self.num_heads, self.head_dim]).transpose([0, 2, 1, 3]) for layer in (self.q_proj, self.k_proj, self.v_proj))
            product = paddle.matmul(self.rotate(q, n) * self.head_dim**-0.5, self.rotate(k, n), transpose_y=True)
            out = paddle.matmul(F.softmax(product), v).transpose([0, 2, 1, 3])
            return self.out_proj(paddle.reshape(out, shape=[0, 0, out.shape[2] * out.shape[3]]))
    return Net(lambda m, x: m.fc(m.blocks(m.word(x)).mean(1)), word=nn.Embedding(11, 16), blocks=nn.Sequential(Block(16, Attention(16, 2)), Block(16, Attention(16, 4))), fc=nn.Linear(16, 3)), ids()


@network
def xlnet_relative_shift() -> Made:
    class Relative(nn.Layer):
        def __init__(self, dim: int, heads: int, width: int) -> None:
            super().__init__()
            self.n_head, self.d_head = heads, width
            self.q, self.k, self.v, self.o, self.r = (self.create_parameter([dim, heads * width]) for _ in range(5))
            self.r_r_bias, self.r_w_bias = self.create_parameter([heads, width]), self.create_parameter([heads, width])

        @staticmethod
        def rel_shift(x: Tensor, klen: int) -> Tensor:
            x_size = x.shape
            x = paddle.reshape(x, [x_size[1], x_size[0], x_size[2], x_size[3]])[1:]
            x = paddle.reshape(x, [x_size[0], x_size[1] - 1, x_size[2], x_size[3]])
            return x[:, :klen]

        def forward(self, h: Tensor, r: Tensor) -> Tensor:
            s, b = h.shape[:2]
            heads = lambda y, w: paddle.matmul(y, w).reshape([y.shape[0], y.shape[1], self.n_head, self.d_head])
            q, k, v, kr = heads(h, self.q), heads(h, self.k), heads(h, self.v), heads(r, self.r)
            ac = paddle.einsum("ibnd,jbnd->ijbn", q + self.r_w_bias, k)
            bd = self.rel_shift(paddle.einsum("ibnd,jbnd->ijbn", q + self.r_r_bias, kr), s)
            prob = F.softmax((ac + bd) * self.d_head**-0.5, axis=1)
            out = paddle.einsum("ijbn,jbnd->ibnd", prob, v).reshape([s, b, self.n_head * self.d_head])
            return paddle.matmul(out, self.o, transpose_y=True)

    def run(m, x):
        h = m.word(x.transpose([1, 0]))
        at = paddle.arange(h.shape[0], -h.shape[0], -1.0)
        sines = at.unsqueeze(-1) * m.inv_freq
        r = paddle.concat([sines.sin(), sines.cos()], axis=-1).unsqueeze(1)
        h = m.norm(h + m.attn(h, r))
        return m.fc(m.norm2(h + m.ff(h)).transpose([1, 0, 2]))
    net = Net(run, word=nn.Embedding(11, 16), attn=Relative(16, 2, 6), norm=nn.LayerNorm(16), norm2=nn.LayerNorm(16), ff=mlp(16, 30, 16, act=nn.GELU), fc=nn.Linear(16, 3))
    net.register_buffer("inv_freq", 1.0 / 100 ** (paddle.arange(0, 16, 2.0) / 16))
    return net, ids()


@network
def swin_restoring() -> Made:
    class Layer(nn.Layer):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.block, self.conv = Block(dim), nn.Conv2D(dim, dim, 3, 1, 1)

        def forward(self, x: Tensor, x_size: tuple[int, int]) -> Tensor:
            y = self.block(x)
            y = y.transpose([0, 2, 1]).reshape([y.shape[0], y.shape[2], x_size[0], x_size[1]])
            return tokens(self.conv(y)) + x

    def run(m, x):
        x_size = (x.shape[2], x.shape[3])
        pad = (2 - x.shape[2] % 2) % 2
        x = F.pad(x, [0, pad, 0, pad], "reflect") if pad else x
        first = m.conv_first(x)
        y = tokens(first)
        for layer in m.layers:
            y = layer(y, x_size)
        y = m.norm(y).transpose([0, 2, 1]).reshape([x.shape[0], m.embed_dim, x_size[0], x_size[1]])
        y = m.conv_after_body(y) + first
        return m.conv_last(F.pixel_shuffle(m.upsample(m.before(y)), 2))
    net = Net(run, conv_first=nn.Conv2D(3, 12, 3, 1, 1), layers=[Layer(12), Layer(12)], norm=nn.LayerNorm(12), conv_after_body=nn.Sequential(nn.Conv2D(12, 6, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2D(6, 12, 1)),
              before=nn.Sequential(nn.Conv2D(12, 10, 3, 1, 1), nn.LeakyReLU(0.01)), upsample=nn.Conv2D(10, 40, 3, 1, 1), conv_last=nn.Conv2D(10, 3, 3, 1, 1))
    net.embed_dim = 12
    return net, image(6)


@network
def supervised_attention_restoring() -> Made:
    class CAB(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            act = nn.PReLU()
            self.CA = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Conv2D(width, width // 2, 1, bias_attr=False), nn.ReLU(), nn.Conv2D(width // 2, width, 1, bias_attr=False), nn.Sigmoid())
            self.body = nn.Sequential(nn.Conv2D(width, width, 3, padding=1), act, nn.Conv2D(width, width, 3, padding=1))

        def forward(self, x: Tensor) -> Tensor:
            res = self.body(x)
            return res * self.CA(res) + x

    def run(m, x):
        H = x.shape[2]
        halves = [m.shallow(part) for part in (x[:, :, : H // 2], x[:, :, H // 2 :])]
        feats = paddle.concat([m.encode(h) for h in halves], 2)
        img = m.sam_out(feats) + x
        gate = F.sigmoid(m.sam_mask(img))
        feats = m.sam_in(feats) * gate + feats
        return m.tail(m.fuse(paddle.concat([m.shallow2(x), feats], 1))) + x, img
    return Net(run, shallow=nn.Sequential(nn.Conv2D(3, 8, 3, padding=1), CAB(8)), encode=nn.Sequential(CAB(8), CAB(8)), sam_in=nn.Conv2D(8, 8, 1), sam_out=nn.Conv2D(8, 3, 1), sam_mask=nn.Conv2D(3, 8, 1),
               shallow2=CABFirst(), fuse=nn.Conv2D(16, 10, 1), tail=nn.Conv2D(10, 3, 3, padding=1)), image(8)


class CABFirst(nn.Layer):
    """One PReLU slope for all, before a convolution whose weights two calls share."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2D(3, 8, 3, padding=1), nn.PReLU()
        self.again = nn.Conv2D(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.again(self.act(self.again(self.act(self.conv(x)))))


@network
def hybrid_encoder_detr() -> Made:
    """RT-DETR: one transformer layer on the smallest map, convolutions between the maps."""
    class CSPRepLayer(nn.Layer):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.conv1, self.conv2 = ConvBNLayer(into, out, 1), ConvBNLayer(into, out, 1)
            self.bottlenecks = nn.Sequential(ConvBNLayer(out, out), ConvBNLayer(out, out))

        def forward(self, x: Tensor) -> Tensor:
            return self.bottlenecks(self.conv1(x)) + self.conv2(x)

    def run(m, x):
        a = m.a(x)
        b = m.b(a)
        proj = [m.proj_a(a), m.proj_b(b)]
        h, w = proj[1].shape[2:]
        src = proj[1].flatten(2).transpose([0, 2, 1])
        memory = m.encoder(src + m.pos)
        proj[1] = memory.transpose([0, 2, 1]).reshape([-1, m.hidden_dim, h, w])
        inner = m.fpn(paddle.concat([F.interpolate(proj[1], scale_factor=2.0, mode="nearest"), proj[0]], axis=1))
        outer = m.pan(paddle.concat([m.down(inner), proj[1]], axis=1))
        y = paddle.concat([tokens(t) for t in (inner, outer)], axis=1)
        scores = m.score(m.enc_output(y))
        _, best = paddle.topk(scores.max(-1), 3, axis=1)
        target = paddle.gather(y[0], best[0]).unsqueeze(0)
        target = m.decoder(target, y)
        return m.classes(target), F.sigmoid(m.boxes(target))
    net = Net(run, a=ConvBNLayer(3, 8, 3, 2), b=ConvBNLayer(8, 16, 3, 2), proj_a=ConvBNLayer(8, 12, 1, act=None), proj_b=ConvBNLayer(16, 12, 1, act=None), encoder=nn.TransformerEncoderLayer(12, 2, 24, 0.0),
              fpn=CSPRepLayer(24, 12), down=ConvBNLayer(12, 12, 3, 2), pan=CSPRepLayer(24, 12), enc_output=nn.Sequential(nn.Linear(12, 12), nn.LayerNorm(12)), score=nn.Linear(12, 4),
              decoder=nn.TransformerDecoderLayer(12, 2, 20, 0.0), classes=nn.Linear(12, 4), boxes=mlp(12, 9, 4))
    net.pos, net.hidden_dim = net.create_parameter([1, 4, 12]), 12
    return net, image(8)


@network
def hybrid_unet_of_transformers() -> Made:
    def run(m, x):
        a = m.a(x)
        b = m.b(a)
        y = tokens(m.patch(b)) + m.pos
        y = m.norm(m.blocks(y))
        n_patch, hidden = y.shape[1], y.shape[2]
        side = int(n_patch**0.5)
        y = m.more(y.transpose([0, 2, 1]).reshape([0, hidden, side, side]))
        y = m.up1(paddle.concat([F.upsample(y, scale_factor=2, mode="bilinear", align_corners=True), b], axis=1))
        y = m.up2(paddle.concat([F.upsample(y, scale_factor=2, mode="bilinear", align_corners=True), a], axis=1))
        return m.head(y)
    net = Net(run, a=unit(3, 8), b=unit(8, 12, stride=2), patch=nn.Conv2D(12, 16, 2, 2), blocks=nn.Sequential(Block(16)), norm=nn.LayerNorm(16), more=unit(16, 14), up1=unit(26, 10), up2=unit(18, 8), head=nn.Conv2D(8, 3, 1))
    net.pos = net.create_parameter([1, 16, 16])
    return net, image()


@network
def efficient_former() -> Made:
    class Pooling(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AvgPool2D(3, stride=1, padding=1, exclusive=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.pool(x) - x

    class Meta4D(nn.Layer):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.token_mixer = Pooling()
            self.fc1, self.norm1, self.fc2, self.norm2 = nn.Conv2D(dim, 3 * dim, 1), nn.BatchNorm2D(3 * dim), nn.Conv2D(3 * dim, dim, 1), nn.BatchNorm2D(dim)
            self.layer_scale_1, self.layer_scale_2 = (self.create_parameter([dim, 1, 1], default_initializer=nn.initializer.Constant(0.5)) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.layer_scale_1 * self.token_mixer(x)
            return x + self.layer_scale_2 * self.norm2(self.fc2(F.gelu(self.norm1(self.fc1(x)))))
    return Net(lambda m, x: (m.head(y := m.norm(m.meta3d(m.flat(m.body(x)))).mean(1)) + m.dist_head(y)) / 2, body=nn.Sequential(unit(3, 8, stride=2), unit(8, 12, stride=2), Meta4D(12), unit(12, 16, act=None), Meta4D(16)),
               flat=FlatTokens(), meta3d=Block(16), norm=nn.LayerNorm(16), head=nn.Linear(16, 5), dist_head=nn.Linear(16, 5)), image()


class FlatTokens(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose([0, 2, 1])
