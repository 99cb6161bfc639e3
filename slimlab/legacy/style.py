"""Floor 1. Who an inference model is written for. Knows no operator's rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """How a network is written.

    Attributes
    ----------
    reader
        Who reads it, in words.
    int8
        Whether weights on a grid are stored as whole numbers.
    lite
        Whether only what Paddle Lite's optimizer knows may be written.
    """

    reader: str
    int8: bool = False
    lite: bool = False

    def knows(self, kind: str) -> bool:
        """Whether the reader has an operator."""
        return not self.lite or kind in LITE_KINDS


# Operators that Paddle Lite 2.13 registers, of those that there are rules for.
LITE_KINDS = frozenset({
    "abs", "acos", "arg_max", "asin", "assign", "atan", "batch_norm", "bicubic_interp_v2",
    "bilinear_interp_v2", "cast", "ceil", "clip", "concat", "conv2d", "conv2d_transpose",
    "conv3d", "cos", "cumsum", "depthwise_conv2d", "depthwise_conv2d_transpose",
    "dequantize_linear", "elementwise_add", "elementwise_div", "elementwise_floordiv",
    "elementwise_max", "elementwise_min", "elementwise_mod", "elementwise_mul",
    "elementwise_pow", "elementwise_sub", "elu", "equal", "erf", "exp", "expand_v2",
    "fill_constant_batch_size_like", "flatten_contiguous_range", "flip", "floor", "gather",
    "gelu", "greater_equal", "greater_than", "grid_sampler", "group_norm", "hard_sigmoid",
    "hard_swish", "instance_norm", "layer_norm", "leaky_relu", "less_equal", "less_than",
    "linear_interp_v2", "log", "log1p", "log_softmax", "logical_and", "logical_not",
    "logical_or", "logical_xor", "lookup_table_v2", "matmul_v2", "max_pool2d_with_index",
    "mish", "mul", "nearest_interp_v2", "not_equal", "p_norm", "pad3d", "pixel_shuffle",
    "pool2d", "pool3d", "pow", "prelu", "quantize_linear", "reciprocal", "reduce_all",
    "reduce_any", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum",
    "relu", "relu6", "reshape2", "rnn", "roll", "round", "rsqrt", "scale", "set_value",
    "shuffle_channel", "sigmoid", "sign", "silu", "sin", "slice", "softmax", "softplus",
    "softsign", "split", "sqrt", "square", "squeeze2", "stack", "strided_slice", "sum", "swish",
    "tan", "tanh", "thresholded_relu", "tile", "top_k_v2", "transpose2", "tril_triu", "unbind",
    "unfold", "unsqueeze2", "where",
})  # fmt: skip
FLOAT = Style("Paddle Inference")
INT8 = Style("Paddle Inference", int8=True)
LITE = Style("Paddle Lite", int8=True, lite=True)
