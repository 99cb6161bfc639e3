"""Read by nbconvert under `slimlab lab`: an exported notebook shows the last picture of a widget.

The widget itself would ask public servers for its scripts, and without them be an empty box.
"""

c = get_config()  # noqa: F821 - traitlets gives it
c.NbConvertBase.display_data_priority = [
    "text/html",
    "application/pdf",
    "text/latex",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/markdown",
    "text/plain",
]
