"""NumPy arrays in functions that are traced in double and in single precision.

JAX 0.10 converts an array that a function closes over once, and remembers the result while a compiled program holds
it, whatever the precision was at the time. Certificates are in double precision and learners in single: whichever came
second got the other's constants, which are rounded, or of another type than all the rest and refused.
"""

import numpy as np
from jax import enable_x64

__all__ = ["convert_by_precision"]


def convert_by_precision() -> None:
    """Have arrays converted anew each time they are met, where JAX is found to confuse the two."""
    try:
        from jax._src import dtypes, literals

        handlers, canonical, typed = (
            dtypes.canonicalize_value_handlers,
            dtypes.canonicalize_dtype,
            literals.TypedNdArray,
        )
        convert = handlers[np.ndarray]
    except (ImportError, AttributeError, LookupError):
        return  # another version of JAX, which keeps no such table
    number = np.zeros(1)
    with enable_x64(True):
        double = convert(number)
    with enable_x64(False):
        single = convert(number)
    if single.dtype == double.dtype:
        handlers[np.ndarray] = lambda array: typed(np.asarray(array, canonical(array.dtype)))
