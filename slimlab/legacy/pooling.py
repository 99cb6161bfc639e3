"""Floor 1. Pooling and resizing of images."""

from __future__ import annotations

from slimlab.legacy.convolving import integers
from slimlab.legacy.registry import legacy_rule
from slimlab.legacy.writer import Writer
from slimlab.lowering.layout import image, is_last
from slimlab.lowering.registry import ends, option
from slimlab.trace import Op

RESIZES = ("nearest", "bilinear", "linear", "trilinear", "bicubic")


@legacy_rule("pd_op.pool2d", "pd_op.pool3d")
def pool(op: Op, net: Writer) -> None:
    """Largest or mean of windows."""
    x, y = ends(op)
    kernel = op.attributes.get("kernel_size")
    size = [int(n) for n in kernel] if kernel else net.integers(option(op, 1))
    flags = ("ceil_mode", "exclusive", "global_pooling", "adaptive")
    net.emit(
        op.short,
        {"X": x},
        {"Out": y},
        ksize=size,
        **integers(op, "strides", "paddings"),
        **{name: bool(op.attributes[name]) for name in flags},
        pooling_type=str(op.attributes["pooling_type"]),
        padding_algorithm=str(op.attributes["padding_algorithm"]),
        data_format=str(op.attributes["data_format"]),
    )


@legacy_rule("pd_op.max_pool2d_with_index")
def pool_with_index(op: Op, net: Writer) -> None:
    """The largest of windows, and where each stood."""
    x, y = ends(op)
    places = op.outputs[1]
    # `pool2d` gives other numbers than these for adaptive windows.
    whole = bool(op.attributes["adaptive"]) and set(image(y.shape, last=False)) == {1}
    net.emit(
        "max_pool2d_with_index",
        {"X": x},
        {"Out": y, "Mask": net.fresh(y.shape, "int32") if places is None else places},
        ksize=[int(n) for n in op.attributes["kernel_size"]],
        **integers(op, "strides", "paddings"),
        ceil_mode=bool(op.attributes.get("ceil_mode", False)),
        global_pooling=bool(op.attributes["global_pooling"]) or whole,
        adaptive=bool(op.attributes["adaptive"]) and not whole,
    )


@legacy_rule("pd_op.unpool")
def unpool(op: Op, net: Writer) -> None:
    """The largest back to where they stood; zeros elsewhere."""
    x, y = ends(op)
    net.emit(
        "unpool",
        {"X": x, "Indices": op.inputs[1]},
        {"Out": y},
        unpooling_type="max",
        **integers(op, "ksize", "strides"),
        paddings=[int(n) for n in op.attributes["padding"]],
        output_size=list(image(y.shape, last=False)),
        data_format=str(op.attributes["data_format"]),
    )


@legacy_rule(*(f"pd_op.{name}_interp" for name in RESIZES))
def resize(op: Op, net: Writer) -> None:
    """By factors where they were given, else to a size."""
    x, y = ends(op)
    if any(option(op, n) is not None for n in (2, 3)):
        net.refuse("its size is a tensor")
    sizes = list(image(y.shape, last=is_last(op)))
    factors = [float(n) for n in op.attributes["scale"] or ()]
    named = dict(zip(("out_w", "out_h", "out_d"), sizes[::-1], strict=False))
    net.emit(
        f"{op.short}_v2",
        {"X": x},
        {"Out": y},
        **{name: named.get(name, -1) for name in ("out_d", "out_h", "out_w")},
        scale=factors,
        interp_method=str(op.attributes["interp_method"]),
        align_corners=bool(op.attributes["align_corners"]),
        align_mode=int(op.attributes["align_mode"]),
        data_layout=str(op.attributes["data_format"]),
    )
