"""Speech, video, tables, restoring and searched networks spelled as in Paddle's own collections."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from foreign.paddle_style import ConvBNLayer, fully_connected
from foreign.registry import F, Made, Net, classifier, ids, image, mlp, network, row, unit

# fmt: off


@network
def hifi_gan_generator() -> Made:
    class ResidualBlock(nn.Layer):
        def __init__(self, width: int, kernel: int, dilations: tuple[int, ...]) -> None:
            super().__init__()
            self.convs1, self.convs2 = nn.LayerList(), nn.LayerList()
            for dilation in dilations:
                self.convs1.append(nn.Sequential(nn.LeakyReLU(0.1), nn.Conv1D(width, width, kernel, padding=(kernel - 1) // 2 * dilation, dilation=dilation)))
                self.convs2.append(nn.Sequential(nn.LeakyReLU(0.1), nn.Conv1D(width, width, kernel, padding=(kernel - 1) // 2)))

        def forward(self, x: Tensor) -> Tensor:
            for idx in range(len(self.convs1)):
                x = self.convs2[idx](self.convs1[idx](x)) + x
            return x

    class Generator(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.num_upsamples, self.num_blocks = 2, 2
            self.input_conv = nn.Conv1D(8, 16, 7, padding=3)
            self.upsamples = nn.LayerList([nn.Sequential(nn.LeakyReLU(0.1), nn.Conv1DTranspose(16 // 2**i, 8 // 2**i, 4, 2, padding=1)) for i in range(2)])
            self.blocks = nn.LayerList([ResidualBlock(8 // 2**i, k, (1, 3)) for i in range(2) for k in (3, 5)])
            self.output_conv = nn.Sequential(nn.LeakyReLU(), nn.Conv1D(4, 1, 7, padding=3), nn.Tanh())

        def forward(self, c: Tensor) -> Tensor:
            c = self.input_conv(c)
            for i in range(self.num_upsamples):
                c = self.upsamples[i](c)
                cs = 0.0
                for j in range(self.num_blocks):
                    cs += self.blocks[i * self.num_blocks + j](c)
                c = cs / self.num_blocks
            return self.output_conv(c)
    return Generator(), paddle.randn([1, 8, 10])


@network
def fast_speech_predictors() -> Made:
    class Predictor(nn.Layer):
        def __init__(self, into: int, width: int) -> None:
            super().__init__()
            self.conv = nn.LayerList([nn.Sequential(nn.Conv1D(into if n == 0 else width, width, 3, padding=1), nn.ReLU(), nn.BatchNorm1D(width), nn.Dropout(0.1)) for n in range(2)])
            self.linear = nn.Linear(width, 1)

        def forward(self, xs: Tensor) -> Tensor:
            xs = xs.transpose([0, 2, 1])
            for f in self.conv:
                xs = f(xs)
            return self.linear(xs.transpose([0, 2, 1]))

    def run(m, xs):
        hs = m.encoder(m.embed(xs))
        hs = hs + m.ffn(hs.transpose([0, 2, 1])).transpose([0, 2, 1])
        d, p = m.duration(hs).squeeze(-1), m.pitch(hs)
        hs = hs + m.pitch_embed(p.transpose([0, 2, 1])).transpose([0, 2, 1])
        hs = paddle.repeat_interleave(hs, 2, axis=1)
        before = m.feat_out(hs)
        return before + m.postnet(before.transpose([0, 2, 1])).transpose([0, 2, 1]), d, p
    return Net(run, embed=nn.Embedding(11, 12), encoder=nn.TransformerEncoderLayer(12, 2, 20), ffn=nn.Sequential(nn.Conv1D(12, 18, 3, padding=1), nn.ReLU(), nn.Conv1D(18, 12, 1)), duration=Predictor(12, 8),
               pitch=Predictor(12, 8), pitch_embed=nn.Conv1D(1, 12, 3, padding=1), feat_out=nn.Linear(12, 8), postnet=nn.Sequential(row(8, 10, 5, act=nn.Tanh), nn.Conv1D(10, 8, 5, padding=2))), ids()


@network
def temporal_shift_operator() -> Made:
    class Shifted(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.conv0, self.conv1, self.num_seg = ConvBNLayer(width, 10, 1), ConvBNLayer(10, width, act=None), 4

        def forward(self, inputs: Tensor) -> Tensor:
            y = self.conv1(self.conv0(F.temporal_shift(inputs, self.num_seg, 1.0 / 4)))
            return F.relu(paddle.add(inputs, y))

    def run(m, inputs):
        y = paddle.reshape(x=inputs, shape=[-1, 3, inputs.shape[3], inputs.shape[4]])
        y = m.b(m.a(m.stem(y))).mean([2, 3])
        return m.fc(paddle.mean(paddle.reshape(y, [-1, 4, y.shape[1]]), axis=1))
    return Net(run, stem=ConvBNLayer(3, 8), a=Shifted(8), b=Shifted(8), fc=fully_connected(8)), paddle.randn([1, 4, 3, 8, 8])


@network
def recommendation_dlrm() -> Made:
    def run(m, sparse, dense):
        bottom = m.bot(dense)
        embeddings = [m.table(paddle.reshape(s, [-1])).reshape([-1, m.dim]) for s in paddle.split(sparse, 3, axis=1)]
        T = paddle.stack([bottom, *embeddings], axis=1)
        Z = paddle.bmm(T, paddle.transpose(T, perm=[0, 2, 1]))
        Zflat = paddle.triu(Z, 1) + paddle.tril(paddle.ones_like(Z) * -1e3, 0)
        Zflat = paddle.masked_select(Zflat, paddle.greater_than(Zflat, paddle.ones_like(Zflat) * -1e3)).reshape([1, 6])
        return F.sigmoid(m.top(paddle.concat([Zflat, bottom], axis=1)))
    net = Net(run, bot=mlp(4, 12, 8), table=nn.Embedding(20, 8), top=mlp(14, 10, 1))
    net.dim = 8
    return net, [paddle.randint(0, 20, [1, 3]), paddle.randn([1, 4])]


@network
def recommendation_autoint() -> Made:
    class Interacting(nn.Layer):
        def __init__(self, into: int, width: int, heads: int) -> None:
            super().__init__()
            self.W_q, self.W_k, self.W_v, self.W_r = (self.create_parameter([into, width * heads]) for _ in range(4))
            self.heads = heads

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = (paddle.stack(paddle.split(paddle.matmul(x, w), self.heads, axis=2)) for w in (self.W_q, self.W_k, self.W_v))
            inner = F.softmax(paddle.matmul(q, k, transpose_y=True), axis=-1)
            result = paddle.squeeze(paddle.concat(paddle.split(paddle.matmul(inner, v), self.heads), axis=-1), axis=0)
            return F.relu(result + paddle.matmul(x, self.W_r))

    def run(m, x):
        y = m.embed(x)
        for layer in m.layers:
            y = layer(y)
        return F.sigmoid(m.out(paddle.flatten(y, start_axis=1)))
    return Net(run, embed=nn.Embedding(20, 8), layers=[Interacting(8, 5, 2), Interacting(10, 6, 2)], out=nn.Linear(48, 1)), ids(4, 20)


@network
def many_gates_of_experts() -> Made:
    def run(m, x):
        experts = paddle.concat([F.relu(layer(x)) for layer in m.experts], axis=1)
        experts = paddle.reshape(experts, [-1, len(m.experts), 8])
        outs = []
        for gate, tower, out in zip(m.gates, m.towers, m.outs, strict=False):
            weight = paddle.reshape(F.softmax(gate(x), axis=1), [-1, len(m.experts), 1])
            mixed = paddle.sum(paddle.multiply(x=experts, y=weight), axis=1)
            outs.append(paddle.clip(F.softmax(out(F.relu(tower(mixed)))), min=1e-15, max=1.0 - 1e-15))
        return outs
    return Net(run, experts=[nn.Linear(6, 8) for _ in range(3)], gates=[nn.Linear(6, 3) for _ in range(2)], towers=[nn.Linear(8, 7) for _ in range(2)], outs=[nn.Linear(7, 2) for _ in range(2)]), paddle.randn([3, 6])


@network
def gated_inpainting() -> Made:
    class Gated(nn.Layer):
        def __init__(self, into: int, out: int, stride: int = 1) -> None:
            super().__init__()
            self.out, self.conv = out, nn.Conv2D(into, 2 * out, 3, stride, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return F.elu(x[:, : self.out]) * F.sigmoid(x[:, self.out :])

    def run(m, x, mask):
        y = m.down(m.first(paddle.concat([x * (1 - mask), mask], axis=1)))
        y = m.up(F.interpolate(y, scale_factor=2))
        return paddle.clip(m.last(y), -1, 1) * mask + x * (1 - mask)
    return Net(run, first=Gated(4, 6), down=Gated(6, 10, 2), up=Gated(10, 7), last=nn.Conv2D(7, 3, 3, padding=1)), [image(8), (paddle.rand([1, 1, 8, 8]) > 0.5).astype("float32")]


@network
def partial_convolutions() -> Made:
    class Partial(nn.Layer):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.conv = nn.Conv2D(into, out, 3, padding=1)
            self.register_buffer("ones", paddle.ones([1, 1, 3, 3]), persistable=False)

        def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
            seen = F.conv2d(mask, self.ones, padding=1)
            ratio = 9 / (seen + 1e-8)
            new = paddle.clip(seen, 0, 1)
            bias = self.conv.bias.reshape([1, -1, 1, 1])
            y = (self.conv(x * mask) - bias) * ratio + bias
            return F.relu(y * new), new

    def run(m, x, mask):
        for layer in m.layers:
            x, mask = layer(x, mask)
        return m.last(x)
    return Net(run, layers=[Partial(3, 8), Partial(8, 10)], last=nn.Conv2D(10, 3, 1)), [image(8), (paddle.rand([1, 1, 8, 8]) > 0.3).astype("float32")]


@network
def yolo_v10_partial_attention() -> Made:
    class Attention(nn.Layer):
        def __init__(self, dim: int, heads: int) -> None:
            super().__init__()
            self.num_heads, self.head_dim = heads, dim // heads
            self.key_dim = self.head_dim // 2
            self.scale = self.key_dim**-0.5
            self.qkv, self.proj = ConvBNLayer(dim, dim + self.key_dim * heads * 2, 1, act=None), ConvBNLayer(dim, dim, 1, act=None)
            self.pe = ConvBNLayer(dim, dim, 3, 1, dim, None)

        def forward(self, x: Tensor) -> Tensor:
            B, C, H, W = x.shape
            q, k, v = self.qkv(x).reshape([B, self.num_heads, self.key_dim * 2 + self.head_dim, H * W]).split([self.key_dim, self.key_dim, self.head_dim], axis=2)
            attn = F.softmax((q.transpose([0, 1, 3, 2]) @ k) * self.scale, axis=-1)
            return self.proj((v @ attn.transpose([0, 1, 3, 2])).reshape([B, C, H, W]) + self.pe(v.reshape([B, C, H, W])))

    class PSA(nn.Layer):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.c = width // 2
            self.cv1, self.cv2, self.attn = ConvBNLayer(width, 2 * self.c, 1), ConvBNLayer(2 * self.c, width, 1), Attention(self.c, 2)
            self.ffn = nn.Sequential(ConvBNLayer(self.c, self.c * 2, 1), ConvBNLayer(self.c * 2, self.c, 1, act=None))

        def forward(self, x: Tensor) -> Tensor:
            a, b = self.cv1(x).split([self.c, self.c], axis=1)
            b = b + self.attn(b)
            b = b + self.ffn(b)
            return self.cv2(paddle.concat((a, b), 1))
    return classifier(ConvBNLayer(8, 16, 3, 2), PSA(16), ConvBNLayer(16, 12), width=12)


@network
def gelan_aggregation() -> Made:
    class RepNCSPELAN(nn.Layer):
        def __init__(self, into: int, out: int, mid: int, inner: int) -> None:
            super().__init__()
            self.c = mid // 2
            self.cv1, self.cv4 = ConvBNLayer(into, mid, 1, act="swish"), ConvBNLayer(mid + 2 * inner, out, 1, act="swish")
            self.cv2, self.cv3 = nn.Sequential(ConvBNLayer(mid // 2, inner), ConvBNLayer(inner, inner)), nn.Sequential(ConvBNLayer(inner, inner), ConvBNLayer(inner, inner))

        def forward(self, x: Tensor) -> Tensor:
            y = list(self.cv1(x).chunk(2, 1))
            y.extend(m(y[-1]) for m in [self.cv2, self.cv3])
            return self.cv4(paddle.concat(y, 1))

    class ADown(nn.Layer):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.cv1, self.cv2 = ConvBNLayer(into // 2, out // 2, 3, 2), ConvBNLayer(into // 2, out // 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = F.avg_pool2d(x, 2, 1, 0, False, True)
            x1, x2 = x.chunk(2, 1)
            return paddle.concat((self.cv1(x1), self.cv2(F.max_pool2d(x2, 3, 2, 1))), 1)
    return classifier(RepNCSPELAN(8, 16, 12, 6), ADown(16, 20), RepNCSPELAN(20, 12, 10, 8), width=12)


@network
def diverse_branches() -> Made:
    class DiverseBranch(nn.Layer):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.origin, self.avg = unit(into, out, act=None), nn.Sequential(unit(into, out, 1, act=None), nn.AvgPool2D(3, 1, 1), nn.BatchNorm2D(out))
            self.one, self.idconv1, self.deep = unit(into, out, 1, act=None), self.create_parameter([into, into, 1, 1]), unit(into, out, act=None)
            self.register_buffer("id_tensor", paddle.eye(into).reshape([into, into, 1, 1]))

        def forward(self, x: Tensor) -> Tensor:
            kernel = self.idconv1 + self.id_tensor
            return F.relu(self.origin(x) + self.avg(x) + self.one(x) + self.deep(F.conv2d(x, kernel)))
    return classifier(DiverseBranch(8, 12), DiverseBranch(12, 10), width=10)


@network
def cell_of_a_search_space() -> Made:
    """All edges of a small cell, some of them nothing, as in NAS-Bench-201."""
    class Zero(nn.Layer):
        def forward(self, x: Tensor) -> Tensor:
            return x * 0.0

    class Edge(nn.Layer):
        def __init__(self, kind: str, width: int) -> None:
            super().__init__()
            made = {"none": Zero, "skip": nn.Identity, "pool": lambda: nn.AvgPool2D(3, 1, 1), "conv": lambda: nn.Sequential(nn.ReLU(), nn.Conv2D(width, width, 3, padding=1, bias_attr=False), nn.BatchNorm2D(width))}
            self.op = made[kind]()

        def forward(self, x: Tensor) -> Tensor:
            return self.op(x)

    class Cell(nn.Layer):
        def __init__(self, width: int, kinds: str) -> None:
            super().__init__()
            self.layers = nn.LayerList([Edge(kind, width) for kind in kinds.split()])
            self.nodes = [[(0, 0)], [(0, 1), (1, 2)], [(0, 3), (1, 4), (2, 5)]]

        def forward(self, x: Tensor) -> Tensor:
            seen = [x]
            for edges in self.nodes:
                seen.append(sum(self.layers[edge](seen[source]) for source, edge in edges))
            return seen[-1]
    return classifier(Cell(8, "conv skip conv none pool conv"), unit(8, 12, stride=2), Cell(12, "skip conv none conv skip pool"), width=12)


@network
def criss_cross() -> Made:
    class CrissCross(nn.Layer):
        def __init__(self, into: int) -> None:
            super().__init__()
            self.q_conv, self.k_conv, self.v_conv = nn.Conv2D(into, into // 2, 1), nn.Conv2D(into, into // 2, 1), nn.Conv2D(into, into, 1)
            self.gamma = self.create_parameter([1], default_initializer=nn.initializer.Constant(0.3))

        def forward(self, x: Tensor) -> Tensor:
            b, _, h, w = x.shape
            rows = lambda t: t.transpose([0, 3, 1, 2]).reshape([b * w, -1, h])
            columns = lambda t: t.transpose([0, 2, 1, 3]).reshape([b * h, -1, w])
            q, k, v = self.q_conv(x), self.k_conv(x), self.v_conv(x)
            energy_h = paddle.bmm(rows(q).transpose([0, 2, 1]), rows(k)).reshape([b, w, h, h]).transpose([0, 2, 1, 3])
            energy_w = paddle.bmm(columns(q).transpose([0, 2, 1]), columns(k)).reshape([b, h, w, w])
            attn = F.softmax(paddle.concat([energy_h, energy_w], axis=-1), axis=-1)
            out_h = paddle.bmm(rows(v), attn[:, :, :, 0:h].transpose([0, 2, 1, 3]).reshape([b * w, h, h]).transpose([0, 2, 1])).reshape([b, w, -1, h]).transpose([0, 2, 3, 1])
            out_w = paddle.bmm(columns(v), attn[:, :, :, h : h + w].reshape([b * h, w, w]).transpose([0, 2, 1])).reshape([b, h, -1, w]).transpose([0, 2, 1, 3])
            return self.gamma * (out_h + out_w) + x
    return classifier(unit(8, 12), CrissCross(12), unit(12, 10), width=10, size=6)


@network
def attention_decoder_of_text() -> Made:
    """A GRU cell that looks at the columns of an image, as often as there are letters."""
    def run(m, x):
        y = m.conv(x).squeeze(2).transpose([0, 2, 1])
        inputs, _ = m.encode(y)
        hidden = paddle.zeros((x.shape[0], 10))
        steps = []
        for _ in range(3):
            e = m.score(F.tanh(m.i2h(inputs) + paddle.unsqueeze(m.h2h(hidden), axis=1)))
            alpha = paddle.transpose(F.softmax(e, axis=1), [0, 2, 1])
            context = paddle.squeeze(paddle.mm(alpha, inputs), axis=1)
            _, hidden = m.rnn(context, hidden)
            steps.append(paddle.unsqueeze(hidden, axis=1))
        return m.generator(paddle.concat(steps, axis=1))
    return Net(run, conv=nn.Sequential(unit(1, 8, stride=2), nn.MaxPool2D(4), unit(8, 12)), encode=nn.LSTM(12, 6, direction="bidirectional"), i2h=nn.Linear(12, 9, bias_attr=False), h2h=nn.Linear(10, 9),
               score=nn.Linear(9, 1, bias_attr=False), rnn=nn.GRUCell(12, 10), generator=nn.Linear(10, 7)), paddle.randn([1, 1, 8, 32])


@network
def set_abstraction() -> Made:
    """PointNet++: neighbours are gathered by their distance."""
    def run(m, xyz, points):
        centres = xyz[:, ::4]
        apart = (centres.unsqueeze(2) - xyz.unsqueeze(1)).square().sum(-1)
        _, index = paddle.topk(apart, 4, axis=-1, largest=False)
        near = paddle.concat([paddle.gather(xyz[0], index[0].flatten()), paddle.gather(points[0], index[0].flatten())], axis=-1).reshape([1, -1, 4, 5])
        y = near.transpose([0, 3, 2, 1])
        for conv, bn in zip(m.convs, m.bns, strict=False):
            y = F.relu(bn(conv(y)))
        y = paddle.max(y, 2)
        return m.fc(paddle.max(y, axis=-1))
    return Net(run, convs=[nn.Conv2D(5, 8, 1), nn.Conv2D(8, 14, 1)], bns=[nn.BatchNorm2D(8), nn.BatchNorm2D(14)], fc=mlp(14, 10, 4)), [paddle.randn([1, 16, 3]), paddle.randn([1, 16, 2])]
